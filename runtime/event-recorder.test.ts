import assert from 'node:assert/strict';
import type { KubernetesObject } from '../api/object.ts';
import { events } from '../api/resource-type.ts';
import { ApiError } from '../client/client.ts';
import { createEventRecorder } from './event-recorder.ts';
import type { EventRecorder } from './event-recorder.ts';
import { createFakeClient } from './fake-client.ts';
import type { FakeClient } from './fake-client.ts';
import { createFakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { silentLogger } from './logger.ts';

const pod: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'toto', uid: 'u1', resourceVersion: '7' },
};

describe('the event recorder', () => {
  let client: FakeClient;
  let clock: FakeClock;
  let recorder: EventRecorder;

  beforeEach(() => {
    client = createFakeClient();
    clock = createFakeClock();
    recorder = createEventRecorder({ client, component: 'scheduler', instance: 'host-1', logger: silentLogger, clock, random: () => 0 });
  });

  it('writes an Event that kubectl describe finds: involvedObject, reason, times, source', async () => {
    recorder.record(pod, 'Normal', 'Placed', 'it has a place');
    await recorder.flush();
    const [event] = client.objects(events);
    assert.match(event!.metadata.name!, /^web\.[0-9a-f]{16}$/);
    assert.equal(event!.metadata.namespace, 'toto');
    assert.deepEqual(event!.involvedObject, {
      apiVersion: 'v1',
      kind: 'Pod',
      name: 'web',
      namespace: 'toto',
      uid: 'u1',
      resourceVersion: '7',
    });
    const { type, reason, message, count, firstTimestamp, lastTimestamp, source } = event!;
    assert.deepEqual([type, reason, message, count], ['Normal', 'Placed', 'it has a place', 1]);
    assert.deepEqual([firstTimestamp, lastTimestamp], ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z']);
    assert.deepEqual(source, { component: 'scheduler', host: 'host-1' });
  });

  it('counts the same thing up instead of saying it again, and says another thing apart', async () => {
    recorder.record(pod, 'Normal', 'Pulling', 'same');
    recorder.record(pod, 'Normal', 'Pulling', 'same');
    await recorder.flush();
    clock.advance(60_000);
    recorder.record(pod, 'Normal', 'Pulling', 'same');
    recorder.record(pod, 'Normal', 'Pulling', 'other');
    await recorder.flush();
    const found = client
      .objects(events)
      .map(({ message, count, firstTimestamp, lastTimestamp }) => [message, count, firstTimestamp, lastTimestamp]);
    assert.deepEqual(found, [
      ['same', 3, '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'],
      ['other', 1, '2026-01-01T00:01:00Z', '2026-01-01T00:01:00Z'],
    ]);
  });

  it('writes a new Event when the server forgot the old one', async () => {
    recorder.record(pod, 'Normal', 'Pulling', 'same');
    await recorder.flush();
    const [old] = client.objects(events);
    await client.delete(events, { namespace: 'toto', name: old!.metadata.name! });
    recorder.record(pod, 'Normal', 'Pulling', 'same');
    await recorder.flush();
    const [event] = client.objects(events);
    assert.deepEqual([event?.count, event?.metadata.name === old?.metadata.name], [1, false]);
  });

  it('lets one object say 25 things at once, then one every five minutes', async () => {
    for (let index = 0; index < 40; index += 1) recorder.record(pod, 'Normal', 'Noise', `number ${index}`);
    recorder.record({ ...pod, metadata: { ...pod.metadata, name: 'quiet', uid: 'u2' } }, 'Normal', 'Noise', 'of another');
    await recorder.flush();
    assert.equal(client.objects(events).length, 26);
    clock.advance(300_000);
    recorder.record(pod, 'Normal', 'Noise', 'later');
    recorder.record(pod, 'Normal', 'Noise', 'too much');
    await recorder.flush();
    assert.equal(client.objects(events).length, 27);
  });

  it('holds at most 1000 that wait', async () => {
    const open = Promise.withResolvers<undefined>();
    client.gate = open.promise.then(() => undefined);
    for (let index = 0; index < 3000; index += 1) {
      recorder.record({ ...pod, metadata: { ...pod.metadata, name: `pod-${index}`, uid: `u${index}` } }, 'Normal', 'Noise', 'x');
    }
    open.resolve(undefined);
    await recorder.flush();
    assert.equal(client.objects(events).length, 1000);
  });

  it('never fails: tries again when the server is away, gives up when it refuses', async () => {
    client.failNext(new Error('connection refused'), new ApiError(503, undefined, 'away'));
    recorder.record(pod, 'Warning', 'Lost', 'x');
    const flushed = recorder.flush();
    await advanceUntil(clock, flushed);
    assert.equal(client.objects(events).length, 1);
    client.failNext(new ApiError(403, undefined, 'forbidden'));
    recorder.record(pod, 'Warning', 'Lost', 'y');
    await recorder.flush();
    assert.equal(client.objects(events).length, 1);
  });

  it('stop() writes what waits, and takes nothing in after it', async () => {
    recorder.record(pod, 'Normal', 'Stopped', 'x');
    await recorder.stop();
    recorder.record(pod, 'Normal', 'Stopped', 'y');
    await recorder.flush();
    assert.equal(client.objects(events).length, 1);
  });

  it('cuts long messages, and keeps events of cluster-scoped objects in default', async () => {
    recorder.record({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n'.repeat(253) } }, 'Normal', 'Long', 'm'.repeat(2000));
    await recorder.flush();
    const [event] = client.objects(events);
    assert.deepEqual([event!.metadata.namespace, event!.message!.length], ['default', 1024]);
    assert.ok(event!.metadata.name!.length <= 253);
  });
});

async function advanceUntil(clock: FakeClock, promise: Promise<void>): Promise<void> {
  const ended = new AbortController();
  void promise.then(() => ended.abort());
  for (let turn = 0; !ended.signal.aborted; turn += 1) {
    assert.ok(turn < 1000, 'gave up waiting');
    await new Promise((resolve) => setImmediate(resolve));
    clock.advanceToNext();
  }
}
