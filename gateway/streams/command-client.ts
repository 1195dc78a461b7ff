/** A remote command, seen from the tunnel: what a client sends as frames, and frames that a client is sent, whatever it speaks. */
import { pipeline } from 'node:stream/promises';
import type { Duplex, Readable } from 'node:stream';
import type { Status } from '../../api/status.ts';
import { channels, createFrameReader, type Frame } from '../../runtime/stream-frames.ts';

export interface CommandClient {
  /** Frames in bytes; ends when the client is gone. */
  input: Readable;
  /** Resolves when the client takes more. */
  send(frame: Frame): Promise<void>;
  /** The last word, after everything that was sent; resolves when it is out. */
  finish(status: Status): Promise<void>;
  destroy(): void;
}

/** Resolves when both sides are done; leaves neither open. */
export async function serveCommand(client: CommandClient, tunnel: Duplex): Promise<Status> {
  // That a channel is closed is a frame; an end means that nobody is there any more.
  const onGone = (): void => void tunnel.destroy();
  pipeline(client.input, tunnel, { end: false }).then(onGone, onGone);
  let status: Status | undefined;
  try {
    const frames = tunnel.pipe(createFrameReader());
    tunnel.on('error', (error) => frames.destroy(error));
    tunnel.on('close', () => {
      if (!tunnel.readableEnded) frames.destroy(new Error('the connection to the instance was lost'));
    });
    for await (const frame of frames as AsyncIterable<Frame>) {
      if (frame.channel === channels.error) status = JSON.parse(frame.content.toString()) as Status;
      else await client.send(frame);
    }
    status ??= lost('the instance hung up');
  } catch (error) {
    status ??= lost(error instanceof Error ? error.message : String(error));
  }
  await client.finish(status).catch(() => client.destroy());
  tunnel.destroy();
  return status;
}

function lost(message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 };
}
