/** A gateway in the test's own process, on the loopback address of a test's API server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gateway as GatewayObject } from '../../api/generated/gateway.ts';
import { createClient } from '../../client/kube-client.ts';
import { startGateway } from '../../gateway/gateway.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { readOwnIdentity } from '../../gateway/own-identity.ts';
import { StreamBackend } from '../../gateway/streams/stream-backend.ts';
import type { Logger } from '../../runtime/logger.ts';
import { createLogger, silentLogger } from '../../runtime/logger.ts';
import type { TestApiServer } from './api-server.ts';

const logger =
  process.env['POTLUCK_TEST_LOG'] === undefined ? silentLogger : createLogger({ component: 'gateway', level: 'debug', format: 'text' });

export interface TestGateway extends Gateway {
  readonly name: string;
  readonly address: string;
}

export async function startTestGateway(
  api: Pick<TestApiServer, 'home'>,
  name: string,
  spec: Partial<GatewayObject['spec']> = {},
  { port: wantedPort = 0, log = logger }: { port?: number; log?: Logger } = {},
): Promise<TestGateway> {
  const kubeconfig = join(api.home, 'pki', 'gateway.kubeconfig');
  const client = createClient({ kubeconfig, userAgent: 'potluck-gateway' });
  const read = (file: string): Promise<string> => readFile(join(api.home, 'pki', file), 'utf8');
  const gateway = await startGateway({
    name,
    client,
    listen: { host: '127.0.0.1', port: wantedPort },
    spec: (port) => ({ tunnelAddresses: [`127.0.0.1:${port}`], peerAddress: `127.0.0.1:${port}`, ...spec }),
    identity: () => readOwnIdentity(kubeconfig),
    certificate: async () => {
      const caPem = await read('ca.crt');
      return { keyPem: await read('server.key'), certPem: (await read('server.crt')) + caPem, caPem };
    },
    backend: (hub) => new StreamBackend({ hub, logger: log }),
    onTakenOver: () => logger.error('taken over'),
    logger,
    leaveMs: 500,
  });
  return {
    ...gateway,
    name,
    address: `127.0.0.1:${gateway.port}`,
    stop: async () => {
      await gateway.stop();
      client.close();
    },
  };
}
