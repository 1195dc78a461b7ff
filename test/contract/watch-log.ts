import assert from 'node:assert/strict';
import type { Change, Store, StoreWatch } from '../../apiserver/store/store.ts';
import { eventually } from '../support/eventually.ts';

/** Everything that one watch delivered, checked on the way for what must hold of every watch. */
export interface WatchLog {
  readonly changes: Change[];
  /** One for each call of onChanges. */
  readonly revisions: number[];
  readonly ends: Error[];
  /** Waits until a change of this revision or a later one came. */
  reach(revision: number, timeoutMs?: number): Promise<void>;
  /** Waits for the end and answers its error. */
  end(timeoutMs?: number): Promise<Error>;
  close(): Promise<void>;
}

function revisionOf(change: Change): number {
  return change.type === 'put' ? change.entry.modRevision : change.modRevision;
}

/** What a change says, short enough to compare long logs: `12 put /a/x=value`. */
export function describeChange(change: Change): string {
  return change.type === 'put'
    ? `${change.entry.modRevision} put ${change.entry.key}=${text(change.entry.value)}`
    : `${change.modRevision} delete ${change.key}`;
}

export function text(value: Uint8Array): string {
  return Buffer.from(value).toString();
}

export function follow(store: Store, prefix: string, afterRevision: number): WatchLog {
  const changes: Change[] = [];
  const revisions: number[] = [];
  const ends: Error[] = [];
  /** A rule that was broken inside a callback, where a failed assertion would only end the watch. */
  const faults: string[] = [];
  const watch: StoreWatch = store.watch({
    prefix,
    afterRevision,
    onChanges: (delivered, revision) => {
      if (revision <= (revisions.at(-1) ?? afterRevision))
        faults.push(`revision ${revision} came after ${revisions.at(-1) ?? afterRevision}`);
      if (ends.length > 0) faults.push('a change came after the end');
      if (delivered.length === 0) faults.push('a delivery without a change');
      for (const change of delivered) {
        if (revisionOf(change) !== revision) faults.push(`a change of ${revisionOf(change)} was delivered with ${revision}`);
      }
      revisions.push(revision);
      changes.push(...delivered);
    },
    onEnd: (error) => ends.push(error),
  });
  const requireHealthy = (): void => assert.deepEqual(faults, []);
  return {
    changes,
    revisions,
    ends,
    reach: async (revision, timeoutMs = 10_000) => {
      await eventually(() => assert.ok((revisions.at(-1) ?? 0) >= revision, `it is at ${revisions.at(-1) ?? 'none'} of ${revision}`), {
        timeoutMs,
        intervalMs: 10,
        what: `the watch of ${prefix} to reach revision ${revision}`,
      });
      requireHealthy();
    },
    end: (timeoutMs = 10_000) =>
      eventually(
        () => {
          const error = ends[0];
          assert.ok(error !== undefined, 'it goes on');
          return error;
        },
        { timeoutMs, intervalMs: 10, what: `the watch of ${prefix} to end` },
      ),
    close: async () => {
      await watch.close();
      requireHealthy();
    },
  };
}
