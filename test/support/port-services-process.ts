/**
 * Services for tests of ports, all in the network namespace in which this runs: echoes on 7, swallows on 9 and then says so, pours without end on 19,
 * says hello first on 25, holds its tongue on 30. Says `listening` when it does.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { Readable } from 'node:stream';

const block = Buffer.alloc(64 * 1024);
const services: Readonly<Record<number, (socket: Socket) => void>> = {
  7: (socket) => socket.pipe(socket),
  9: (socket) => {
    socket.resume();
    socket.once('end', () => socket.end('done\n'));
  },
  19: (socket) =>
    new Readable({
      read: function pour(this: Readable) {
        this.push(block);
      },
    }).pipe(socket),
  25: (socket) => socket.end('hello\n'),
  30: (socket) => void socket.resume(),
};

for (const [port, serve] of Object.entries(services)) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  server.listen(Number(port));
  await once(server, 'listening');
}
process.stdout.write('listening\n');
