/**
 * Runs in the network namespace of an instance and connects to its ports: sockets belong to the namespace in which they were made, and the agent
 * gets them over the channel that it has to this process. Nothing else goes through here.
 */
import { Socket } from 'node:net';

interface Question {
  id: number;
  port: number;
}

const connectTimeoutMs = 5_000;
const hosts = ['127.0.0.1', '::1'];

process.on('message', (question: Question) => void answer(question));
process.on('disconnect', () => process.exit(0));

async function answer({ id, port }: Question): Promise<void> {
  let failure = 'ECONNREFUSED';
  for (const host of hosts) {
    const result = await connectTo(host, port);
    if (result instanceof Socket) {
      process.send?.({ id }, result, { keepOpen: false });
      return;
    }
    // What the first address says counts: IPv6 may not be there at all.
    if (host === hosts[0]) failure = result;
  }
  process.send?.({ id, failure });
}

/** A socket from which nothing was read, or the code of the failure. */
function connectTo(host: string, port: number): Promise<Socket | string> {
  const socket = new Socket({ allowHalfOpen: true });
  // Else what the other side says first would stay here.
  socket.pause();
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })), connectTimeoutMs);
    socket.once('connect', () => {
      clearTimeout(late);
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(late);
      resolve(error.code ?? 'EIO');
    });
    socket.connect(port, host);
  });
}
