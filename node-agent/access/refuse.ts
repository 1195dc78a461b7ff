/** From what an engine says to what a stream is refused with. */
import { engineErrorKind } from '../engine/engine.ts';
import { StreamRefusal } from '../tunnel/stream-handler.ts';

export function refusalOf(error: unknown): StreamRefusal {
  if (error instanceof StreamRefusal) return error;
  const message = error instanceof Error ? error.message : String(error);
  switch (engineErrorKind(error)) {
    case 'notFound':
    case 'conflict':
      return new StreamRefusal(409, message);
    case 'rejected':
      return new StreamRefusal(400, message);
    case 'unavailable':
      return new StreamRefusal(503, `the container engine of the provider does not answer: ${message}`);
    case 'failed':
      return new StreamRefusal(500, message);
  }
}
