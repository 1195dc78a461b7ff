import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Status } from '../api/status.ts';
import { channels } from '../runtime/stream-frames.ts';
import { WebSocketStream } from '../runtime/web-socket.ts';
import { UserError } from '../api/errors.ts';
import { defineCommand } from './command-line/command.ts';
import { instanceFlags, podPath } from './instance-flags.ts';
import { withClient } from './with-client.ts';

const protocol = 'v5.channel.k8s.io';
const longestMessage = 1024 * 1024;
const pieceBytes = 32 * 1024;

export const execCommand = defineCommand({
  name: 'exec',
  summary: 'runs a program in an instance, and ends with its exit code',
  details:
    'What it starts ends with it when the connection does. Words for the program that begin with a dash stand after --: potluck exec web -it -- sh -l',
  arguments: [
    { name: 'INSTANCE', description: 'the name of the instance' },
    { name: 'COMMAND', description: 'the program and its arguments', repeats: true },
  ],
  flags: {
    stdin: { type: 'boolean', short: 'i', description: 'passes the standard input on' },
    tty: { type: 'boolean', short: 't', description: 'gives it a terminal' },
    ...instanceFlags,
  },
  run: (values, [name = '', ...command]) =>
    withClient(values, async ({ client, kubeconfig }) => {
      if (values.tty && !process.stdin.isTTY) {
        throw new UserError('BAD_ARGUMENT', '--tty needs a terminal, and the standard input is none', 'Leave --tty away');
      }
      const query = new URLSearchParams({
        stdout: 'true',
        stdin: String(values.stdin),
        tty: String(values.tty),
        stderr: String(!values.tty),
      });
      for (const word of command) query.append('command', word);
      const path = await podPath({ namespace: values.namespace, kubeconfig }, name, 'exec');
      const stop = new AbortController();
      const { socket, head } = await client.upgrade(`${path}?${query.toString()}`, [protocol], stop.signal);
      return relay(new WebSocketStream(socket, head, { side: 'client', maxMessageBytes: longestMessage }), values);
    }),
});

/** Answers the exit code. */
async function relay(messages: WebSocketStream, { stdin, tty }: { stdin: boolean; tty: boolean }): Promise<number> {
  const restore = tty ? takeTerminal(messages) : () => undefined;
  if (stdin) sendInput(messages);
  let status: Status | undefined;
  try {
    for await (const message of messages as AsyncIterable<Buffer>) {
      const content = message.subarray(1);
      if (message[0] === channels.stdout) await write(process.stdout, content);
      else if (message[0] === channels.stderr) await write(process.stderr, content);
      else if (message[0] === channels.error) status = JSON.parse(content.toString()) as Status;
    }
  } catch (error) {
    throw new UserError('API_UNREACHABLE', `the connection broke: ${error instanceof Error ? error.message : String(error)}`, 'Try again', {
      cause: error,
    });
  } finally {
    restore();
    process.stdin.destroy();
  }
  return exitCodeOf(status);
}

function exitCodeOf(status: Status | undefined): number {
  if (status?.status === 'Success') return 0;
  const cause = status?.details?.causes?.find(({ reason }) => reason === 'ExitCode');
  if (cause !== undefined) return Number(cause.message) || 1;
  throw new UserError('API_REFUSED', `the program did not end as it should: ${status?.message ?? 'the connection was lost'}`, 'Try again');
}

function sendInput(messages: WebSocketStream): void {
  const { stdin } = process;
  stdin.on('data', (bytes: Buffer) => {
    for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
      if (!send(messages, channels.stdin, bytes.subarray(offset, offset + pieceBytes))) stdin.pause();
    }
  });
  messages.on('drain', () => stdin.resume());
  stdin.once('end', () => send(messages, channels.close, Buffer.of(channels.stdin)));
}

/** Keys go as they are typed; answers what gives the terminal back. */
function takeTerminal(messages: WebSocketStream): () => void {
  const { stdin, stdout } = process;
  const tellSize = (): void =>
    void send(messages, channels.resize, Buffer.from(JSON.stringify({ Width: stdout.columns, Height: stdout.rows })));
  tellSize();
  stdout.on('resize', tellSize);
  stdin.setRawMode(true);
  return () => {
    stdout.off('resize', tellSize);
    stdin.setRawMode(false);
  };
}

function send(messages: WebSocketStream, channel: number, content: Uint8Array): boolean {
  return messages.writable && messages.write(Buffer.concat([Buffer.of(channel), content]));
}

async function write(stream: NodeJS.WriteStream & Pick<Duplex, 'writableNeedDrain'>, content: Buffer): Promise<void> {
  if (!stream.write(content)) await once(stream, 'drain');
}
