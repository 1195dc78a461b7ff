import { once } from 'node:events';
import { type AddressInfo, createServer, connect, type Socket } from 'node:net';

/** A TCP relay to one server, whose faults a test decides. */
export interface TcpProxy {
  /** `http://127.0.0.1:<port>`. */
  readonly endpoint: string;
  /** Breaks every connection and refuses new ones by closing them at once, until `restore`. */
  cut(): void;
  /** From now on the server hears clients, but clients hear nothing, on connections old and new, until `cut` or `restore`. */
  swallowAnswers(): void;
  /** Lets every connection that is open now fall silent for good, both ways, without closing it. New ones work. */
  silenceOpenConnections(): void;
  restore(): void;
  /** Bytes that clients sent since the proxy was started. */
  readonly bytesFromClients: number;
  close(): Promise<void>;
}

interface Link {
  client: Socket;
  server: Socket;
  silent: boolean;
}

/** Relays to `target`, a URL. */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const links = new Set<Link>();
  let mode: 'relay' | 'cut' | 'swallow' = 'relay';
  let bytesFromClients = 0;

  const listener = createServer((client) => {
    if (mode === 'cut') {
      client.destroy();
      return;
    }
    const link: Link = { client, server: connect(Number(port), hostname), silent: false };
    links.add(link);
    client.on('data', (data) => {
      bytesFromClients += data.length;
      if (!link.silent) link.server.write(data);
    });
    link.server.on('data', (data) => {
      if (!link.silent && mode !== 'swallow') client.write(data);
    });
    for (const socket of [client, link.server]) {
      socket.on('error', () => undefined);
      socket.on('close', () => drop(link));
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');

  function drop(link: Link): void {
    links.delete(link);
    link.client.destroy();
    link.server.destroy();
  }
  const dropAll = (): void => {
    for (const link of links) drop(link);
  };

  return {
    endpoint: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get bytesFromClients() {
      return bytesFromClients;
    },
    cut: () => {
      mode = 'cut';
      dropAll();
    },
    swallowAnswers: () => {
      mode = 'swallow';
    },
    silenceOpenConnections: () => {
      for (const link of links) link.silent = true;
    },
    restore: () => {
      mode = 'relay';
    },
    close: async () => {
      dropAll();
      listener.close();
      await once(listener, 'close');
    },
  };
}
