/**
 * Half of a way into a network namespace: listens on a TCP address or a Unix socket, and connects to the other. Unix sockets are not bound to
 * namespaces, so two of these lead from one into another without a link between them. Arguments: from, to, each HOST:PORT or a path.
 */
import { connect, createServer, type NetConnectOpts } from 'node:net';

const [from = '', to = ''] = process.argv.slice(2);

function optionsOf(text: string): NetConnectOpts {
  const match = /^([^/]+):(\d+)$/.exec(text);
  return match === null ? { path: text } : { host: match[1] ?? '', port: Number(match[2]) };
}

createServer({ allowHalfOpen: true }, (socket) => {
  const other = connect({ ...optionsOf(to), allowHalfOpen: true });
  socket.on('error', () => other.destroy());
  other.on('error', () => socket.destroy());
  socket.pipe(other).pipe(socket);
}).listen(optionsOf(from), () => process.stdout.write('listening\n'));
