/**
 * Joins a channel of a client to a stream of an instance. By hand and not by `pipeline()`: a channel of the package cannot be destroyed as
 * Node's streams are (it says that it ends and closes, and stays as it is), and a pipeline that tries goes round for ever.
 */
import { finished } from 'node:stream/promises';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { Channel } from 'ssh2';

/** What waits to be sent to the client: nothing more is read from the instance, whatever window the client says it has. */
const holdBytes = 1024 * 1024;

/** Resolves when it is over, whoever ended it, and nothing is held any more. `socket`: of the client's connection. */
export async function joinChannel(channel: Channel, stream: Duplex, socket: Socket): Promise<void> {
  const over = Promise.withResolvers<undefined>();
  const end = (): void => over.resolve(undefined);
  const pass = (): void => {
    if (!channel.writableNeedDrain && socket.writableLength <= holdBytes) stream.resume();
  };
  channel.on('data', (chunk: Buffer) => {
    if (stream.writable && !stream.write(chunk)) channel.pause();
  });
  stream.on('drain', () => channel.resume());
  channel.once('end', () => {
    if (stream.writable) stream.end();
  });
  stream.on('data', (chunk: Buffer) => {
    if (!channel.writable) return;
    if (!channel.write(chunk) || socket.writableLength > holdBytes) stream.pause();
  });
  channel.on('drain', pass);
  socket.on('drain', pass);
  // What the instance ended is over once the client has it.
  stream.once('end', () => {
    channel.end();
    finished(channel, { readable: false }).then(end, end);
  });
  stream.once('close', () => {
    if (!stream.readableEnded) end();
  });
  stream.on('error', end);
  channel.on('error', end);
  channel.once('close', end);
  socket.once('close', end);
  if (socket.destroyed || stream.destroyed) end();
  await over.promise;
  socket.removeListener('drain', pass);
  socket.removeListener('close', end);
  stream.destroy();
  // Its end is told only to who reads to it.
  channel.resume();
  channel.close();
}
