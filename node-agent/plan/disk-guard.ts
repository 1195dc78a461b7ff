/** What happens to an instance whose disk, or whose machine's disk, is full. Pure. */
import { reasons } from '../../api/reasons.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import type { DiskOrder } from '../limits/disk-watchdog.ts';
import type { Decision, DesiredInstance, JournalEntry, World } from './world.ts';

const graceSeconds = 2;
const recheckMs = 5_000;

interface GuardContext {
  world: World;
  desired: DesiredInstance;
  journal: JournalEntry;
}

/** Undefined where nothing keeps it from running. */
export function guardDisk(context: GuardContext, container: ObservedContainer | undefined): Decision | undefined {
  const { world } = context;
  const order = container === undefined ? undefined : world.diskOrders?.get(container.id);
  if (container?.state === 'running' || container?.state === 'paused') return guardRunning(context, container, order);
  if (order?.act === 'stop') return said(order.message);
  return world.diskClosed === undefined ? undefined : { ...said(world.diskClosed), recheckAtMs: world.nowMs + recheckMs };
}

function guardRunning(
  { desired, journal }: GuardContext,
  { id, state }: ObservedContainer,
  order: DiskOrder | undefined,
): Decision | undefined {
  const step = { uid: desired.uid, containerId: id };
  switch (order?.act) {
    case 'stop':
      return {
        ...said(order.message),
        action: { type: 'stop', ...step, graceSeconds, journal: { ...withoutPause(journal), stopRequested: true } },
      };
    case 'pause':
      if (state === 'paused') return said(order.message);
      return { ...said(order.message), action: { type: 'pause', ...step, journal: { ...journal, pausedForDisk: true } } };
    case 'warn':
    case undefined:
      // What somebody else froze is theirs to let go.
      if (journal.pausedForDisk !== true) return undefined;
      if (state === 'paused') return { action: { type: 'unpause', ...step, journal: withoutPause(journal) } };
      return { action: { type: 'adopt', uid: desired.uid, journal: withoutPause(journal) } };
  }
}

function said(message: string): Decision {
  return { waiting: { reason: reasons.diskPressure, message } };
}

function withoutPause(journal: JournalEntry): JournalEntry {
  const rest = { ...journal };
  delete rest.pausedForDisk;
  return rest;
}
