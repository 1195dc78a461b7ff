/** A name server that answers every question with one address. Arguments: where to listen, and the address. Prints a line when it listens. */
import { createSocket } from 'node:dgram';

const [listen = '', answer = ''] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.on('message', (query, from) => {
  const end = query.indexOf(0, 12) + 5;
  const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
  // A pointer to the name in the question, type A, class IN, 60 s, 4 bytes.
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...answer.split('.').map(Number)]);
  socket.send(Buffer.concat([header, query.subarray(12, end), record]), from.port, from.address);
});
socket.bind(53, listen, () => process.stdout.write('listening\n'));
