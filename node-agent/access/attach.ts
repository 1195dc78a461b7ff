/** Streams of kind `attach`: the input and output of an instance's first process, from now on. It goes on when the stream ends. */
import type { AttachParameters } from '../../api/stream-protocol.ts';
import { channels, encodeFrame } from '../../runtime/stream-frames.ts';
import type { ContainerAccess } from '../engine/container-access.ts';
import { StreamRefusal, type StreamHandler } from '../tunnel/stream-handler.ts';
import { exitStatus } from './command-end.ts';
import { relayInput, relayOutput, type CommandProcess } from './command-streams.ts';
import { refusalOf } from './refuse.ts';

export function createAttachHandler(access: ContainerAccess): StreamHandler {
  return async ({ container, parameters, accept, signal }) => {
    if (container === undefined) throw new StreamRefusal(409, 'the instance does not run');
    const { stdin, stdout, stderr } = parameters as Partial<Record<keyof AttachParameters, unknown>>;
    const streams = { stdin: stdin === true, stdout: stdout === true, stderr: stderr === true };
    const stream = await access.attach(container.id, streams).catch((error: unknown) => {
      throw refusalOf(error);
    });
    const cut = (): void => void stream.destroy();
    stream.on('error', () => undefined);
    if (signal.aborted) cut();
    signal.addEventListener('abort', cut, { once: true });
    try {
      const frames = accept();
      // Instances have no terminal, and so no size.
      const process: CommandProcess = { stream, tty: false, resize: () => undefined };
      void relayInput(frames, process, signal);
      await relayOutput(process, frames, signal).catch(cut);
      // What the process ended with is the instance's, not the stream's.
      if (frames.writable) frames.end(encodeFrame(channels.error, JSON.stringify(exitStatus(0))));
    } finally {
      signal.removeEventListener('abort', cut);
      cut();
    }
  };
}
