/** Streams of kind `port`: a TCP connection to a port of the instance, from within. */
import { cutStream, splice } from '../../runtime/splice.ts';
import { PortError } from './port-connector.ts';
import type { PortConnectors } from './port-connector.ts';
import { StreamRefusal } from './stream-handler.ts';
import type { StreamHandler } from './stream-handler.ts';

export function createPortHandler(connectors: PortConnectors): StreamHandler {
  return async ({ instance, container, parameters, accept, signal }) => {
    const port = readPort(parameters);
    if (container === undefined) throw new StreamRefusal(409, 'the instance does not run');
    const socket = await connectors.connect(container, port).catch((error: unknown) => {
      throw error instanceof PortError ? refusalOf(error, port, instance.metadata.name ?? '') : error;
    });
    const cut = (): void => cutStream(socket, new Error('the stream is over'));
    socket.on('error', () => undefined);
    if (signal.aborted) cut();
    signal.addEventListener('abort', cut, { once: true });
    try {
      await splice(accept(), socket);
    } finally {
      cut();
    }
  };
}

function readPort(parameters: unknown): number {
  const { port } = parameters as { port?: unknown };
  if (typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new StreamRefusal(400, 'port must be a whole number from 1 to 65535');
}

function refusalOf({ code, message }: PortError, port: number, name: string): StreamRefusal {
  switch (code) {
    case 'ECONNREFUSED':
      return new StreamRefusal(503, `nothing listens on port ${port} of ${name}`);
    case 'EGONE':
      return new StreamRefusal(409, message);
    case 'EBUSY':
      return new StreamRefusal(429, message);
    default:
      return new StreamRefusal(503, `port ${port} of ${name} cannot be reached: ${code}`);
  }
}
