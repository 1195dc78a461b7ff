/** The processes of ours that `potluck up` supervises: the server, the gateway and the agent, run from this very program. */
import { join } from 'node:path';
import type { Readiness, SupervisedChild } from '../../runtime/child-process.ts';
import { superviseChild } from '../../runtime/child-process.ts';
import type { Logger } from '../../runtime/logger.ts';
import { formatHostPort, type HostPort } from '../command-line/host-port.ts';
import type { PoolPaths } from './pool-paths.ts';
import type { EtcdAccess } from './supervised-etcd.ts';

export const main = join(import.meta.dirname, '../main.ts');
const stopTimeoutMs = 20_000;

export interface OwnProcessOptions {
  paths: PoolPaths;
  readiness: Readiness;
  logger: Logger;
}

export function superviseServer(
  options: OwnProcessOptions & { listen: HostPort; gatewayListen: HostPort; advertiseAddress: string | undefined; etcd: EtcdAccess },
): SupervisedChild {
  const { listen, gatewayListen, advertiseAddress, etcd } = options;
  const flags = {
    components: 'api,controller',
    listen: formatHostPort(listen),
    'advertise-address': advertiseAddress,
    'stream-backend': `gateway=https://${formatHostPort(nearAddress(gatewayListen))}`,
    'etcd-servers': etcd.servers.join(','),
    'etcd-cafile': etcd.caFile,
    'etcd-certfile': etcd.certFile,
    'etcd-keyfile': etcd.keyFile,
  };
  return supervise('server', ['server'], flags, options);
}

/** An address of this machine that leads to who listens there. */
function nearAddress({ host, port }: HostPort): HostPort {
  return { host: host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host, port };
}

/** In a process of its own: it talks to every machine, and has no business with the store. */
export function superviseGateway(
  options: OwnProcessOptions & { listen: HostPort; sshPort: number; advertiseAddress: string | undefined },
): SupervisedChild {
  const { listen, sshPort, advertiseAddress } = options;
  const flags = {
    components: 'gateway',
    'gateway-listen': formatHostPort(listen),
    'gateway-addresses': advertiseAddress,
    'gateway-ssh-port': String(sshPort),
  };
  return supervise('gateway', ['server'], flags, options);
}

/** Strangers talk to it: it has a process and a certificate of its own, and gives up root's rights. */
export function superviseJumpHost(options: OwnProcessOptions & { listen: HostPort }): SupervisedChild {
  return supervise('jump-host', ['jump-host'], { 'ssh-listen': formatHostPort(options.listen) }, options, smallHeap);
}

/** Who it is, the agent finds in the folder of its identity. */
export function superviseAgent(options: OwnProcessOptions): SupervisedChild {
  return supervise('agent', ['agent'], {}, options, smallHeap);
}

/** For a process that does little on a machine that belongs to someone: V8 would let short-lived objects pile up to tens of megabytes. */
export const smallHeap = ['--max-semi-space-size=1'];

function supervise(
  name: string,
  command: readonly string[],
  flags: Readonly<Record<string, string | undefined>>,
  options: OwnProcessOptions,
  nodeFlags: readonly string[] = [],
): SupervisedChild {
  const { paths, readiness, logger } = options;
  const all: Readonly<Record<string, string | undefined>> = { ...flags, home: paths.home };
  const given = Object.entries(all).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, value]));
  return superviseChild({
    name,
    command: process.execPath,
    args: [...nodeFlags, main, ...command, ...given],
    logFile: join(paths.logs, `${name}.log`),
    pidFile: join(paths.run, `${name}.pid`),
    readiness,
    stopTimeoutMs,
    logger,
  });
}
