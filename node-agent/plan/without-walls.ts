/** What happens to instances while the walls around them do not stand: nothing runs, and nothing is started. Pure. */
import { reasons } from '../../api/reasons.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import type { Decision, JournalEntry, World } from './world.ts';

/** They are cut off from every network already. */
const graceSeconds = 2;

/** Stops what runs, also before the API's list was read: whoever it belongs to, it has no walls. Undefined when nothing runs. */
export function stopWithoutWalls(world: World, uid: string, running: ObservedContainer | undefined): Decision | undefined {
  const blocked = waitForWalls(world);
  if (blocked === undefined || running === undefined) return undefined;
  const unknown: JournalEntry = { uid, epoch: 0, restartCount: 0, crashCount: 0, stopRequested: true };
  // Its end is no crash: it goes on as soon as the walls stand.
  const journal = { ...(world.journal.get(uid) ?? unknown), stopRequested: true };
  return { ...blocked, action: { type: 'stop', uid, containerId: running.id, graceSeconds, journal } };
}

/** Why nothing can be started; undefined while the walls stand. */
export function waitForWalls({ wallsDown }: World): Decision | undefined {
  if (wallsDown === undefined) return undefined;
  return { waiting: { reason: reasons.wallsDown, message: `The provider cannot wall instances in, so none runs on it: ${wallsDown}` } };
}
