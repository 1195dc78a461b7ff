/** A running `kubectl port-forward`, and connections through it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';

export interface KubectlForward {
  port: number;
  stop(): Promise<void>;
  /** Everything that it printed. */
  output(): string;
}

const readyMs = 20_000;

export async function untilForwarding(child: ChildProcessWithoutNullStreams): Promise<KubectlForward> {
  let output = '';
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const late = setTimeout(() => reject(new Error(`it does not forward: ${output}`)), readyMs);
  const listen = (text: string): void => {
    output += text;
    const port = /Forwarding from 127\.0\.0\.1:(\d+)/u.exec(output)?.[1];
    if (port !== undefined) resolve(Number(port));
  };
  child.stdout.setEncoding('utf8').on('data', listen);
  child.stderr.setEncoding('utf8').on('data', listen);
  child.once('exit', (code) => reject(new Error(`it ended with ${String(code)}: ${output}`)));
  const port = await promise.finally(() => clearTimeout(late));
  return {
    port,
    output: () => output,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Sends it all, says that there is no more, and answers everything that comes back. */
export async function exchange(port: number, sent: Buffer): Promise<Buffer> {
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  socket.end(sent);
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
