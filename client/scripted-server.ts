/** A server that answers what a test says: stands for the network's and the server's faults, which no real server shows at will. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { LoadedKubeconfig } from './kubeconfig.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface ScriptedServer {
  kubeconfig: LoadedKubeconfig;
  /** `METHOD path?query` of every request so far. */
  readonly requests: string[];
  /** Answers every request that comes from now on. */
  answer: Answer;
  /** Refuses connections and ends those that are open. */
  goAway(): Promise<void>;
  /** Serves again, on the same port. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

export async function startScriptedServer(answer: Answer): Promise<ScriptedServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => scripted.answer(request, response, Buffer.concat(chunks).toString('utf8')));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  const listen = (port: number): Promise<void> => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  const scripted: ScriptedServer = {
    kubeconfig: {
      clusters: [{ name: 'scripted', server: `http://127.0.0.1:${port}`, skipTLSVerify: false }],
      users: [{ name: 'tester', token: 'secret' }],
      contexts: [{ name: 'scripted', cluster: 'scripted', user: 'tester' }],
      currentContext: 'scripted',
    },
    requests,
    answer,
    goAway: close,
    comeBack: () => listen(port),
    close,
  };
  return scripted;
}

export function sendJson(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function sendStatus(response: ServerResponse, code: number, reason: string, message: string): void {
  sendJson(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message });
}
