/** Tells of the sessions that people have in an instance, as events on it: kind, who, from when to when; never what was done. */
import { reasons } from '../../api/reasons.ts';
import { formatTime } from '../../api/time.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import type { StreamHandler } from '../tunnel/stream-handler.ts';

/** A handler that does what `handler` does, and tells of it. `what` is said before the user: `exec by toto`. */
export function tellSessions(what: string, recorder: EventRecorder, handler: StreamHandler): StreamHandler {
  return async (request) => {
    const { instance, user, sessionId, accept } = request;
    let openedAtMs: number | undefined;
    const tell = (reason: string, when: string): void =>
      recorder.record(instance, 'Normal', reason, `${what} by ${user}${when} (session ${sessionId.slice(0, 8)})`);
    try {
      await handler({
        ...request,
        accept: () => {
          const stream = accept();
          openedAtMs = Date.now();
          tell(reasons.sessionOpened, '');
          return stream;
        },
      });
    } finally {
      if (openedAtMs !== undefined) tell(reasons.sessionClosed, `, from ${formatTime(openedAtMs)} to ${formatTime(Date.now())}`);
    }
  };
}
