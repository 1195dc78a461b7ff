/** The jump host's SSH server. The only importer of ssh2, of which it uses the least: keys, and forwarding to names. */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import ssh2 from 'ssh2';
import type { Connection } from 'ssh2';
import type { Logger } from '../../runtime/logger.ts';
import { ConnectionBounds } from './connection-bounds.ts';
import { JumpConnection } from './jump-connection.ts';
import type { JumpConnectionOptions } from './jump-connection.ts';

export interface JumpServerOptions extends Pick<JumpConnectionOptions, 'holderOf' | 'open'> {
  listen: { host: string; port: number };
  /** In OpenSSH's form. */
  hostKey: string;
  logger: Logger;
}

export interface JumpServer {
  readonly port: number;
  /** Ends connections whose key opens nothing any more. */
  checkKeys(): void;
  close(): Promise<void>;
}

/** Nothing that is weak, and nothing that unpacks what strangers send. */
const algorithms = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org'],
  serverHostKey: ['ssh-ed25519'],
  cipher: ['aes256-gcm@openssh.com', 'aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
};

/** @throws what `listen` throws. */
export async function listenForJumps(options: JumpServerOptions): Promise<JumpServer> {
  const { listen, hostKey, holderOf, open, logger } = options;
  const bounds = new ConnectionBounds(() => performance.now());
  const sockets = new Set<Socket>();
  const connections = new Set<JumpConnection>();
  const places = new WeakMap<Socket, () => void>();
  const server = new ssh2.Server({ hostKeys: [hostKey], algorithms, ident: 'potluck' }, (connection: Connection) => {
    const socket = connection._sock;
    const address = socket.remoteAddress ?? '';
    const onKnown = (): void => places.get(socket)?.();
    const jump = new JumpConnection({ connection, address, holderOf, open, onKnown, logger });
    connections.add(jump);
    connection.once('close', () => connections.delete(jump));
  });
  // What is too much is turned away before it costs a handshake.
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    const place = bounds.enter(socket.remoteAddress ?? '');
    if (place === undefined) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    places.set(socket, () => place.known());
    socket.once('close', () => {
      sockets.delete(socket);
      place.leave();
    });
    server.injectSocket(socket);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(listen.port, listen.host, resolve);
  });
  listener.on('error', (error) => logger.error('the jump host cannot take connections', { error }));
  const { port } = listener.address() as { port: number };
  return {
    port,
    checkKeys: () => {
      for (const jump of connections) if (jump.key !== undefined && holderOf(jump.key) === undefined) jump.end();
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
