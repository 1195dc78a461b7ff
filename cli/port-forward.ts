import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { UserError } from '../api/errors.ts';
import { ApiError } from '../client/client.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { splice } from '../runtime/splice.ts';
import { connectionProtocol, WebSocketConnection } from '../runtime/web-socket-connection.ts';
import { defineCommand } from './command-line/command.ts';
import { instanceFlags, podPath } from './instance-flags.ts';
import { withClient } from './with-client.ts';

interface Forward {
  /** 0: any free one. */
  local: number;
  remote: number;
}

export const portForwardCommand = defineCommand({
  name: 'port-forward',
  summary: 'leads ports of this machine to ports of an instance',
  details:
    'It runs until it is stopped. A port is given as LOCAL:REMOTE, as REMOTE where both are the same, or as :REMOTE for any free one here.',
  arguments: [
    { name: 'INSTANCE', description: 'the name of the instance' },
    { name: 'PORT', description: 'LOCAL:REMOTE', repeats: true },
  ],
  flags: {
    address: { type: 'string', value: 'HOST', default: '127.0.0.1', description: 'where it listens' },
    ...instanceFlags,
  },
  run: (values, [name = '', ...ports]) =>
    withClient(values, async ({ client, kubeconfig }) => {
      const forwards = ports.map(parseForward);
      const path = await podPath({ namespace: values.namespace, kubeconfig }, name, 'portforward');
      // Whether there is such an instance, and one may, is said before anybody connects.
      await client.request('GET', path.replace(/\/portforward$/u, ''));
      const stop = new AbortController();
      const servers: Server[] = [];
      try {
        for (const { local, remote } of forwards) {
          const server = await listen({ port: local, host: values.address }, (socket) => {
            void forward(client, `${path}?ports=${remote}`, socket, stop.signal);
          });
          servers.push(server);
          const { port } = server.address() as AddressInfo;
          process.stdout.write(`Forwarding ${values.address}:${port} to port ${remote} of ${name}\n`);
        }
        await untilStopped();
      } finally {
        for (const server of servers) server.close();
        stop.abort();
      }
      return 0;
    }),
});

async function forward(client: KubeClient, path: string, socket: Socket, signal: AbortSignal): Promise<void> {
  socket.on('error', () => undefined);
  try {
    const { socket: upgraded, head } = await client.upgrade(path, [connectionProtocol], signal);
    const connection = new WebSocketConnection(upgraded, head, 'client');
    signal.addEventListener('abort', () => connection.destroy(), { once: true });
    await splice(socket, connection);
  } catch (error) {
    socket.destroy();
    if (!signal.aborted) process.stderr.write(`${error instanceof ApiError ? error.message : String(error)}\n`);
  }
}

async function listen(where: { port: number; host: string }, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
  server.listen(where);
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    throw new UserError(
      'PORT_IN_USE',
      `${where.host}:${where.port} cannot be listened on: ${(error as Error).message}`,
      'Choose another local port, or :REMOTE for any free one',
      { cause: error },
    );
  }
}

async function untilStopped(): Promise<void> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
}

function parseForward(text: string): Forward {
  const [, before, local = '', remote = ''] = /^((\d*):)?(\d+)$/u.exec(text) ?? [];
  const forward = { local: before === undefined ? Number(remote) : Number(local), remote: Number(remote) };
  if (remote !== '' && forward.remote > 0 && forward.remote < 65_536 && forward.local < 65_536) return forward;
  throw new UserError('BAD_ARGUMENT', `${text} is no port`, 'Give LOCAL:REMOTE, as 8080:80, or REMOTE alone');
}
