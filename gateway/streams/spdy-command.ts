/** Remote commands over SPDY/3.1: one stream for each channel (k8s.io/kubelet `pkg/cri/streaming/remotecommand/httpstream.go`). */
import { once } from 'node:events';
import { PassThrough, type Duplex } from 'node:stream';
import type { AttachParameters } from '../../api/stream-protocol.ts';
import type { Status } from '../../api/status.ts';
import { channels, encodeFrame } from '../../runtime/stream-frames.ts';
import type { CommandClient } from './command-client.ts';
import { SpdySession, type SpdyStream } from './spdy-session.ts';

/** In the order of preference: the fourth has a `Status` at the end, the third a terminal's size. */
export const spdyProtocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'] as const;
type Protocol = (typeof spdyProtocols)[number];

/** For all streams to be there. */
const streamsMs = 30_000;
const longestSize = 256;

/** Resolves when the client opened every stream that it asked for. Rejects, and hangs up, when it does not. */
export async function spdyCommand(
  socket: Duplex,
  head: Buffer,
  { protocol, parameters }: { protocol: Protocol; parameters: AttachParameters },
): Promise<CommandClient> {
  const wanted = wantedStreams(protocol, parameters);
  const streams = new Map<string, SpdyStream>();
  const { promise: complete, resolve, reject } = Promise.withResolvers<undefined>();
  const session = new SpdySession(socket, head, {
    maxStreams: 8,
    onStream: (stream) => {
      const type = stream.headers.get('streamtype') ?? '';
      if (!wanted.has(type) || streams.has(type)) {
        stream.destroy();
        return;
      }
      streams.set(type, stream);
      if (streams.size === wanted.size) resolve(undefined);
    },
    onClose: () => {
      input.destroy(new Error('the client hung up'));
      reject(new Error('the client hung up'));
    },
  });
  const input = new PassThrough({ highWaterMark: 64 * 1024 });
  input.on('error', () => undefined);
  const late = setTimeout(() => session.destroy(), streamsMs);
  await complete.finally(() => clearTimeout(late));
  feedInput(streams, input);
  return {
    input,
    send: ({ channel, content }) => write(streams.get(channel === channels.stderr ? 'stderr' : 'stdout'), content),
    finish: async (status) => {
      await write(streams.get('error'), Buffer.from(lastWord(protocol, status)));
      for (const stream of streams.values()) stream.end();
      session.close();
    },
    destroy: () => session.destroy(),
  };
}

function wantedStreams(protocol: Protocol, { stdin, stdout, stderr, tty }: AttachParameters): Set<string> {
  const hasSize = tty && (protocol.startsWith('v3') || protocol.startsWith('v4'));
  const named = { error: true, stdin, stdout, stderr, resize: hasSize };
  return new Set(Object.entries(named).flatMap(([name, isWanted]) => (isWanted ? [name] : [])));
}

/** Both inputs into one, each held up by the other end. */
function feedInput(streams: ReadonlyMap<string, SpdyStream>, input: PassThrough): void {
  const push = async (bytes: Buffer): Promise<void> => {
    if (!input.write(bytes)) await once(input, 'drain');
  };
  const stdin = streams.get('stdin');
  const feedStdin = async (): Promise<void> => {
    if (stdin === undefined) return;
    for await (const bytes of stdin.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)
      await push(encodeFrame(channels.stdin, bytes));
    await push(encodeFrame(channels.close, Buffer.of(channels.stdin)));
  };
  const feedSizes = async (): Promise<void> => {
    let text = '';
    for await (const bytes of streams.get('resize')?.iterator({ destroyOnReturn: false }) ?? []) {
      text = (text + String(bytes)).slice(-longestSize);
      for (let end = text.indexOf('}'); end !== -1; end = text.indexOf('}')) {
        await push(encodeFrame(channels.resize, text.slice(0, end + 1).trim()));
        text = text.slice(end + 1);
      }
    }
  };
  feedStdin().catch(() => undefined);
  feedSizes().catch(() => undefined);
}

async function write(stream: SpdyStream | undefined, content: Uint8Array): Promise<void> {
  if (stream === undefined || content.length === 0) return;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  stream.write(content, (error) => (error ? reject(error) : resolve(undefined)));
  await promise;
}

/** Before the fourth version an error is a text, and no error nothing. */
function lastWord(protocol: Protocol, status: Status): string {
  if (protocol.startsWith('v4')) return JSON.stringify(status);
  return status.status === 'Success' ? '' : (status.message ?? 'error');
}
