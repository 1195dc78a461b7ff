/** Between the frames of a stream and the plain input and outputs of a process in a container, each at the pace of who reads. */
import type { Duplex } from 'node:stream';
import { channels, createFrameReader, encodeFrame, type Frame } from '../../runtime/stream-frames.ts';
import type { TerminalSize } from '../engine/container-access.ts';
import { DockerOutputDecoder } from '../engine/docker-output.ts';
import { drained } from './drained.ts';

export interface CommandProcess {
  stream: Duplex;
  tty: boolean;
  resize: (size: TerminalSize) => void;
}

const mostColumns = 10_000;

/** Resolves when the process' outputs have ended and are written, the input aside, or nobody takes them any more. */
export async function relayOutput({ stream, tty }: CommandProcess, frames: Duplex, signal: AbortSignal): Promise<void> {
  const decoder = new DockerOutputDecoder();
  for await (const bytes of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const encoded = tty
      ? [encodeFrame(channels.stdout, bytes)]
      : decoder.push(bytes).map(({ output, content }) => encodeFrame(output === 2 ? channels.stderr : channels.stdout, content));
    for (const frame of encoded) {
      if (signal.aborted) return;
      if (frames.writable && !frames.write(frame)) await drained(frames, signal);
    }
  }
}

/** Resolves when the frames have ended. The stream of frames is left as it is: the process may have more to say. */
export async function relayInput(frames: Duplex, { stream, resize }: CommandProcess, signal: AbortSignal): Promise<void> {
  const reader = createFrameReader();
  frames.pipe(reader);
  frames.once('close', () => reader.destroy());
  try {
    for await (const { channel, content } of reader as AsyncIterable<Frame>) {
      if (channel === channels.stdin) {
        if (stream.writable && !stream.write(content)) await drained(stream, signal);
      } else if (channel === channels.close && content[0] === channels.stdin) stream.end();
      else if (channel === channels.resize) {
        const size = readSize(content);
        if (size !== undefined) resize(size);
      }
    }
  } catch {
    // Cut, or no frames: nothing more comes.
    frames.unpipe(reader);
  }
}

/** Undefined for what is no size. */
export function readSize(content: Buffer): TerminalSize | undefined {
  try {
    const { Width: columns, Height: rows } = JSON.parse(content.toString()) as { Width?: unknown; Height?: unknown };
    const isSize = (value: unknown): value is number =>
      typeof value === 'number' && Number.isInteger(value) && value > 0 && value < mostColumns;
    return isSize(columns) && isSize(rows) ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}
