/** When a container that ended is started again. The numbers are kubelet's: at once the first time, then 10 s, 20 s, … 5 min. Pure. */
import type { ObservedContainer } from '../engine/engine.ts';
import type { ContainerEnd, DesiredInstance, JournalEntry } from './world.ts';

const baseDelayMs = 10_000;
const longestDelayMs = 300_000;
/** Who ran this long is well: the next end counts as the first. */
const healthyAfterMs = 600_000;

/** The end that the container shows, or undefined while it runs or before its first start. */
export function endOf(container: ObservedContainer, journal: JournalEntry): ContainerEnd | undefined {
  if (container.state !== 'exited' && container.state !== 'dead') return undefined;
  const { startedAtMs, exitCode, oomKilled } = container;
  return {
    containerId: container.id,
    exitCode,
    oomKilled,
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    finishedAtMs: container.finishedAtMs ?? container.createdAtMs,
    stopped: journal.stopRequested,
  };
}

/** Whether the container will never be started again, and how the instance ended. */
export function outcomeOf(desired: DesiredInstance, end: ContainerEnd): 'Succeeded' | 'Failed' | undefined {
  if (end.stopped || desired.restartPolicy === 'Always') return undefined;
  if (end.exitCode === 0) return 'Succeeded';
  return desired.restartPolicy === 'Never' ? 'Failed' : undefined;
}

/** When the next run may start; at once for one that was stopped. */
export function restartAtMs(end: ContainerEnd, journal: JournalEntry): number {
  const crashes = crashesBefore(end, journal);
  if (end.stopped || crashes === 0) return end.finishedAtMs;
  return end.finishedAtMs + Math.min(longestDelayMs, baseDelayMs * 2 ** (crashes - 1));
}

function crashesBefore(end: ContainerEnd, journal: JournalEntry): number {
  const ranMs = end.finishedAtMs - (end.startedAtMs ?? end.finishedAtMs);
  return ranMs >= healthyAfterMs ? 0 : journal.crashCount;
}

/** The journal as it is before the next run. The same end is never counted twice, also when the start fails and is tried again. */
export function journalForRestart(end: ContainerEnd, journal: JournalEntry): JournalEntry {
  const counted = journal.lastEnd?.containerId === end.containerId && journal.lastEnd.finishedAtMs === end.finishedAtMs;
  if (counted) return { ...journal, stopRequested: false };
  if (end.stopped) return { ...journal, stopRequested: false, lastEnd: end, crashCount: 0 };
  return { ...journal, restartCount: journal.restartCount + 1, crashCount: crashesBefore(end, journal) + 1, lastEnd: end };
}

/** When something that did not work may be tried again: soon after a failure, later after a refusal. */
export function retryAtMs(failure: NonNullable<JournalEntry['failure']>): number {
  const firstDelayMs = failure.kind === 'rejected' ? baseDelayMs : 1_000;
  return failure.atMs + Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(failure.count - 1, 20));
}
