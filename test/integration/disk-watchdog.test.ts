/** Disks that no quota holds: an agent on a plain overlay2 engine. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { condition, isReady, startAgentWorld } from '../support/agent-world.ts';
import type { AgentWorld, InstanceStatus } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { testImage } from '../support/image.ts';

const withDisk = (
  disk: string,
): { resources: { requests: { cpu: string; memory: string; disk: string }; limits: { memory: string } } } => ({
  resources: { requests: { cpu: '250m', memory: '32Mi', disk }, limits: { memory: '128Mi' } },
});
/** A mebibyte at a time, so that every mark is passed. */
const fillSlowly = (path: string): string[] => [
  'sh',
  '-c',
  `i=0; while [ $i -lt 400 ]; do i=$((i+1)); dd if=/dev/zero bs=1M count=1 >> ${path} 2> /dev/null; sleep 0.2; done; exec sleep 1000`,
];

describe('the disk watchdog', function () {
  this.timeout(120_000);
  let world: AgentWorld;
  before(async () => {
    world = await startAgentWorld();
  });
  after(() => world.stop());
  afterEach(() => world.clear());

  const isFull = (status: InstanceStatus): void => assert.equal(condition(status, 'Ready')?.reason, 'DiskPressure');

  it('warns at 80 %, pauses at 100 %, and says so', async () => {
    const slow = await world.run('slow', { ...withDisk('40Mi'), command: fillSlowly('/full') });
    const warned = await world.until('slow', (status) => assert.equal(condition(status, 'DiskPressure')?.status, 'True'), 60_000);
    assert.match(condition(warned, 'DiskPressure')?.message ?? '', /of the 40 MiB/);
    const status = await world.until('slow', isFull, 60_000);
    assert.match(condition(status, 'Ready')?.message ?? '', /of the 40 MiB that its disk may hold \(10\d %\) and is paused/);
    assert.equal(status.phase, 'Running');
    assert.equal((await world.inspect(slow)).State.Paused, true);
    await world.stopAgent();
    await world.startAgent();
    await world.until('slow', isFull, 15_000);
    assert.equal((await world.inspect(slow)).State.Paused, true, 'another agent lets nothing go');
    assert.equal(status.restartCount, 0);
  });

  it('stops what is at 110 % before it could be paused, keeps its disk, and does not start it again', async () => {
    const command = ['sh', '-c', 'dd if=/dev/zero of=/full bs=1M count=100 2> /dev/null; exec sleep 1000'];
    const fast = await world.run('fast', { ...withDisk('40Mi'), command });
    const status = await world.until(
      'fast',
      (now) => {
        isFull(now);
        assert.equal(now.phase, 'Stopped');
      },
      30_000,
    );
    assert.match(condition(status, 'Ready')?.message ?? '', /is stopped: its disk is kept/);
    const { Id, State } = await world.inspect(fast);
    assert.equal(State.Running, false);
    const changed = (await world.docker.getContainer(Id).changes()) as { Path: string }[];
    assert.ok(changed.some(({ Path }) => Path === '/full'));
  });

  it('counts files, and what is written to a volume that the image asks for', async () => {
    const many = ['sh', '-c', 'mkdir /many; cd /many; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo > $i; done; exec sleep 1000'];
    await world.run('many', { ...withDisk('40Mi'), command: many });
    const made = await world.docker.createContainer({ Image: testImage });
    const changes = ['VOLUME /data', 'CMD ["sleep", "1000"]'];
    const stream = await world.docker.importImage(await made.export(), { repo: 'potluck-test/volume', tag: '1', changes } as object);
    stream.resume();
    await once(stream, 'end');
    await made.remove();
    await world.run('volume', { ...withDisk('40Mi'), image: 'potluck-test/volume:1', command: fillSlowly('/data/full') });
    const files = await world.until('many', isFull, 60_000);
    assert.match(condition(files, 'Ready')?.message ?? '', /of the 10000 files/);
    await world.until('volume', isFull, 60_000);
  });

  it("keeps the owner's part of the disk: nothing new starts below it, and what runs waits until there is room", async () => {
    const one = await world.run('one');
    await world.until('one', isReady, 15_000);
    await world.allow('freeDisk: 900Ti');
    await eventually(async () => assert.equal((await world.inspect(one)).State.Running, false), { timeoutMs: 10_000, what: 'it to stop' });
    const status = await world.until('one', isFull, 10_000);
    assert.match(condition(status, 'Ready')?.message ?? '', /The machine's disk is nearly full/);
    await world.run('two');
    await world.until('two', isFull, 10_000);
    await world.allow('freeDisk: 1Mi');
    await world.until('one', isReady, 20_000);
    await world.until('two', isReady, 20_000);
  });
});
