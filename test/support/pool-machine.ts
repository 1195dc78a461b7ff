/** A machine with the pool's own engine on it and nothing else: a network namespace with an internet behind its gateway. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { poolPaths } from '../../node-agent/engine/pool-paths.ts';
import type { PoolPaths } from '../../node-agent/engine/pool-paths.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import type { Bandwidth } from '../../node-agent/limits/bandwidth/bandwidth-limits.ts';
import { makeHostNamespace, startInNamespace } from './host-namespace.ts';
import type { HostNamespace, NamespaceProcess } from './host-namespace.ts';
import { importTestImage, testImage } from './image.ts';

const program = join(import.meta.dirname, 'pool-engine-process.ts');

export interface MachineContainer {
  id: string;
  docker: Docker.Container;
  /** Of its first process, for `nsenter --net=`; another after a restart. */
  namespace(): Promise<string>;
  address(): Promise<string>;
}

export interface PoolMachine {
  home: string;
  paths: PoolPaths;
  host: HostNamespace;
  docker: Docker;
  engine: NamespaceProcess;
  /** Made with the limits and started; runs until it is removed. */
  run(command?: readonly string[], bandwidth?: Bandwidth): Promise<MachineContainer>;
  apply(container: MachineContainer, bandwidth: Bandwidth): Promise<void>;
  offer(bandwidth: Bandwidth): Promise<void>;
  /** Standard output of a command in the pool's network namespace. */
  inPool(command: string, ...args: string[]): Promise<string>;
  /** Purges the engine and removes everything. */
  remove(): Promise<void>;
}

export interface PoolMachineOptions {
  /** Asked for instances; the machine's own when absent. */
  nameServer?: string;
  /** More of it for the engine's process. */
  environment?: Record<string, string>;
}

export async function makePoolMachine({ nameServer, environment = {} }: PoolMachineOptions = {}): Promise<PoolMachine> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-home-'));
  const host = await makeHostNamespace();
  const args = [home, join(home, 'pool-engine.log'), ...(nameServer === undefined ? [] : [nameServer])];
  const engine = startInNamespace(host.path, program, args, environment);
  const paths = poolPaths(home);
  const docker = new Docker({ socketPath: paths.socket });

  async function remove(): Promise<void> {
    await engine.ask('purge');
    await engine.killHard();
    await host.remove();
    await rm(home, { recursive: true, force: true });
  }
  async function run(command: readonly string[] = ['sleep', '100000'], bandwidth?: Bandwidth): Promise<MachineContainer> {
    const container = await docker.createContainer({ Image: testImage, Cmd: [...command] });
    if (bandwidth !== undefined) await engine.ask(`apply ${container.id} ${JSON.stringify(bandwidth)}`);
    await container.start();
    return {
      id: container.id,
      docker: container,
      namespace: async () => `/proc/${(await container.inspect()).State.Pid}/ns/net`,
      address: async () => (await container.inspect()).NetworkSettings.Networks['bridge']?.IPAddress ?? '',
    };
  }

  try {
    await engine.ask('start');
    await importTestImage(paths.socket);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    home,
    paths,
    host,
    docker,
    engine,
    run,
    apply: async ({ id }, bandwidth) => {
      await engine.ask(`apply ${id} ${JSON.stringify(bandwidth)}`);
    },
    offer: async (bandwidth) => {
      await engine.ask(`offer ${JSON.stringify(bandwidth)}`);
    },
    inPool: (command, ...args) => runCommand('nsenter', [`--net=${paths.namespace}`, command, ...args]),
    remove,
  };
}
