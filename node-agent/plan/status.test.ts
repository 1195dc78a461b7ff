import assert from 'node:assert/strict';
import type { ObservedContainer } from '../engine/engine.ts';
import { instanceStatus } from './status.ts';
import type { InstanceStatus, StatusInput } from './status.ts';
import type { DesiredInstance } from './world.ts';

const mebibyte = 1024 * 1024;
const nowMs = Date.parse('2026-01-01T00:01:00Z');

const container: ObservedContainer = {
  id: 'c1',
  name: 'potluck-u',
  labels: {},
  image: 'debian:12',
  imageId: 'sha256:1',
  state: 'running',
  exitCode: 0,
  oomKilled: false,
  error: '',
  createdAtMs: nowMs - 60_000,
  startedAtMs: nowMs - 50_000,
  limits: { cpuMillis: 1, cpuShares: 1, cpuset: '0', memoryBytes: 1, memoryReservationBytes: 1, pids: 1 },
};
const exited: ObservedContainer = { ...container, state: 'exited', exitCode: 1, finishedAtMs: nowMs - 1_000 };

const desired = {
  uid: 'u',
  generation: 3,
  epoch: 2,
  deleting: false,
  finished: false,
  powerState: 'Running',
  restartPolicy: 'Always',
  image: { key: 'debian:12', reference: 'debian:12', written: 'debian:12', namespace: 'ns', pullSecrets: [] },
  resources: { diskLimitBytes: 100 * mebibyte } as DesiredInstance['resources'],
} as unknown as DesiredInstance;

function statusOf(overrides: Partial<StatusInput> = {}, wanted: Partial<DesiredInstance> = {}): InstanceStatus {
  return instanceStatus({
    desired: { ...desired, ...wanted },
    current: {},
    journal: { uid: 'u', epoch: 2, restartCount: 4, crashCount: 0, stopRequested: false },
    container,
    decision: {},
    image: { kind: 'present', info: { id: 'sha256:1', sizeBytes: 1, digests: ['debian@sha256:9'] }, pulled: true },
    usage: undefined,
    nowMs,
    ...overrides,
  });
}

const condition = (
  status: InstanceStatus,
  type: string,
): { status: string; reason: string; message: string; observedGeneration?: number } | undefined =>
  status.conditions?.find((each) => each.type === type);

describe('instanceStatus()', () => {
  it('of a running container', () => {
    const status = statusOf({ usage: { diskBytes: 1_500_000 } });
    assert.equal(status.phase, 'Running');
    assert.deepEqual(status.state, { running: { startedAt: '2026-01-01T00:00:10Z' } });
    assert.equal(status.observedGeneration, 3);
    assert.equal(status.observedEpoch, 2);
    assert.equal(status.restartCount, 4);
    assert.equal(status.containerID, 'docker://c1');
    assert.equal(status.imageID, 'debian@sha256:9');
    assert.deepEqual(status.usage, { disk: '2Mi' });
    assert.equal(condition(status, 'Ready')?.status, 'True');
    assert.equal(condition(status, 'Ready')?.observedGeneration, 3);
    assert.equal(condition(status, 'ImageReady')?.reason, 'Pulled');
  });

  it('keeps what others write', () => {
    const assignment = { providerName: 'p', providerUID: 'x', epoch: 2 };
    const scheduled = {
      type: 'Scheduled',
      status: 'True' as const,
      lastTransitionTime: '2026-01-01T00:00:00Z',
      reason: 'Placed',
      message: 'm',
    };
    const status = statusOf({ current: { assignment, hostname: 'h', lastEpoch: 2, conditions: [scheduled] } });
    assert.deepEqual([status.assignment, status.hostname, status.lastEpoch], [assignment, 'h', 2]);
    assert.deepEqual(condition(status, 'Scheduled'), scheduled);
  });

  it('answers the same for the same, so that nothing is written', () => {
    const first = statusOf();
    assert.deepEqual(statusOf({ current: first, nowMs: nowMs + 5_000 }), first);
  });

  it('says of one that is killed for memory that it is', () => {
    const oom = { ...exited, exitCode: 137, oomKilled: true };
    const status = statusOf({ container: oom }, { restartPolicy: 'Never' });
    assert.equal(status.phase, 'Failed');
    assert.equal(status.state?.terminated?.reason, 'OOMKilled');
    assert.equal(status.state.terminated.signal, 9);
    assert.match(condition(status, 'Ready')?.message ?? '', /memory limit/);
  });

  it('says Completed of one whose child was killed for memory but that ended well', () => {
    const status = statusOf({ container: { ...exited, exitCode: 0, oomKilled: true } }, { restartPolicy: 'Never' });
    assert.equal(status.phase, 'Succeeded');
    assert.equal(status.state?.terminated?.reason, 'Completed');
  });

  it('keeps Running while it waits to be started again, with the end as its last state', () => {
    const lastEnd = { containerId: 'c1', exitCode: 1, oomKilled: false, finishedAtMs: nowMs - 1_000, stopped: false };
    const status = statusOf({
      container: exited,
      journal: { uid: 'u', epoch: 2, restartCount: 2, crashCount: 2, stopRequested: false, lastEnd },
      decision: { waiting: { reason: 'CrashLoopBackOff', message: 'It keeps ending' }, recheckAtMs: nowMs },
    });
    assert.equal(status.phase, 'Running');
    assert.equal(status.state?.waiting?.reason, 'CrashLoopBackOff');
    assert.equal(status.lastState?.terminated?.exitCode, 1);
    assert.match(condition(status, 'Ready')?.message ?? '', /exit code 1, 2 restarts/);
  });

  it('is Stopped, with or without a container', () => {
    const journal = { uid: 'u', epoch: 2, restartCount: 0, crashCount: 0, stopRequested: true };
    const status = statusOf({ container: { ...exited, exitCode: 143 }, journal }, { powerState: 'Stopped', restartPolicy: 'Never' });
    assert.equal(status.phase, 'Stopped');
    assert.equal(status.state?.terminated?.reason, 'Stopped');
    assert.equal(statusOf({ container: undefined }, { powerState: 'Stopped' }).phase, 'Stopped');
  });

  it('is Assigned until the first start, with the progress of the pull', () => {
    const status = statusOf({
      container: undefined,
      image: { kind: 'pulling', progress: '1.0 of 2.0 MB, 0 of 1 layers done' },
      decision: { waiting: { reason: 'Pulling', message: 'x' } },
    });
    assert.equal(status.phase, 'Assigned');
    assert.equal(condition(status, 'ImageReady')?.status, 'False');
    assert.match(condition(status, 'ImageReady')?.message ?? '', /1\.0 of 2\.0 MB/);
    assert.equal(status.containerID, undefined);
  });

  it('says that the container is gone only of what is being deleted', () => {
    assert.equal(condition(statusOf({ container: undefined }, { deleting: true }), 'ContainerRemoved')?.status, 'True');
    assert.equal(condition(statusOf({ container: undefined }), 'ContainerRemoved'), undefined);
    assert.equal(condition(statusOf({}, { deleting: true }), 'ContainerRemoved'), undefined);
  });

  it('says of what ended for good what it said then, also when the container is gone', () => {
    const before = statusOf({ container: { ...exited, exitCode: 0 } }, { restartPolicy: 'Never' });
    const after = statusOf({ container: undefined, current: before }, { restartPolicy: 'Never', finished: true });
    assert.equal(after.phase, 'Succeeded');
    assert.deepEqual(after.state, before.state);
    assert.equal(condition(after, 'Ready')?.reason, 'Completed');
  });

  it('changes nothing but Ready while the engine does not answer', () => {
    const before = statusOf();
    const status = statusOf({
      current: before,
      container: undefined,
      decision: { waiting: { reason: 'EngineUnavailable', message: 'm' } },
    });
    assert.equal(condition(status, 'Ready')?.status, 'Unknown');
    assert.deepEqual({ ...status, conditions: [] }, { ...before, conditions: [] });
  });

  it('fits the schema, however much an engine says', () => {
    const failure = { action: 'start' as const, kind: 'rejected' as const, message: 'x'.repeat(100_000), atMs: 0, count: 1, generation: 3 };
    const journal = { uid: 'u', epoch: 2, restartCount: 0, crashCount: 0, stopRequested: false, failure };
    const status = statusOf({ container: { ...container, state: 'created', exitCode: 127 }, journal }, { restartPolicy: 'Never' });
    assert.equal(status.phase, 'Failed');
    assert.ok((status.state?.terminated?.message?.length ?? 0) <= 2048);
  });
});
