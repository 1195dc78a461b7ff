// For OpenSSH's ProxyCommand: standard input and output to a Unix socket.
import { connect } from 'node:net';

const socket = connect({ path: process.argv[2] ?? '', allowHalfOpen: true });
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on('close', () => process.exit(0));
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
// The other end hung up; what it said is written by now, since pipes are written at once.
socket.on('end', () => setImmediate(() => process.exit(0)));
