/** What every engine must do, run on the fake and on a real dockerd: what holds in unit tests holds on machines. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { instanceLabel, instanceUidLabel, providerLabel } from '../../api/names.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { EngineError } from '../../node-agent/engine/engine.ts';
import type { ContainerLimits, ContainerSpec, Engine, EngineEvent } from '../../node-agent/engine/engine.ts';
import { FakeEngine } from '../../node-agent/engine/fake-engine.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, testImage } from '../support/image.ts';

const limits: ContainerLimits = {
  cpuMillis: 500,
  cpuShares: 512,
  cpuset: '0',
  memoryBytes: 64 * 1024 * 1024,
  memoryReservationBytes: 32 * 1024 * 1024,
  pids: 32,
};
const providerUid = randomUUID();

function specOf(overrides: Partial<ContainerSpec> = {}): ContainerSpec {
  const uid = randomUUID();
  return {
    name: `potluck-${uid}`,
    image: testImage,
    command: ['sleep', '1000'],
    env: [],
    hostname: 'h',
    labels: { [instanceUidLabel]: uid, [instanceLabel]: 'ns/name', [providerLabel]: providerUid },
    limits,
    ...overrides,
  };
}

interface Subject {
  engine: Engine;
  close(): Promise<void>;
}

async function fake(): Promise<Subject> {
  const engine = new FakeEngine();
  engine.images.set(testImage, { id: 'sha256:1', sizeBytes: 1, digests: [] });
  return Promise.resolve({ engine, close: () => Promise.resolve() });
}

async function real(): Promise<Subject> {
  const dockerd: TestDockerd = await startTestDockerd();
  await importTestImage(dockerd.socketPath);
  return { engine: createDockerEngine(dockerd.socketPath), close: () => dockerd.stop() };
}

for (const [name, open] of [
  ['fake', fake],
  ['dockerd', real],
] as const) {
  describe(`engine contract: ${name}`, function () {
    this.timeout(60_000);
    let subject: Subject;
    let engine: Engine;

    before(async () => {
      subject = await open();
      ({ engine } = subject);
    });
    after(() => subject.close());

    async function rejectsWith(kind: EngineError['kind'], promise: Promise<unknown>): Promise<void> {
      await assert.rejects(promise, (error: unknown) => error instanceof EngineError && error.kind === kind);
    }

    it('says what it is', async () => {
      const info = await engine.info();
      assert.ok(info.version !== '' && info.storageDriver !== '' && info.runtimes.includes('runc'), JSON.stringify(info));
    });

    it('takes a container from created to running to exited to gone', async () => {
      const spec = specOf();
      const id = await engine.createContainer(spec);
      const created = await engine.inspectContainer(id);
      assert.equal(created?.state, 'created');
      assert.equal(created.startedAtMs, undefined);
      assert.equal(created.name, spec.name);
      assert.deepEqual(created.limits, limits);
      assert.deepEqual({ ...created.labels, reference: undefined }, { ...spec.labels, reference: undefined });
      await engine.startContainer(id);
      await engine.startContainer(id);
      const running = await engine.inspectContainer(spec.name);
      assert.equal(running?.state, 'running');
      assert.ok((running.startedAtMs ?? 0) > 0);
      await engine.stopContainer(id, 5);
      const stopped = await engine.inspectContainer(id);
      assert.equal(stopped?.state, 'exited');
      assert.notEqual(stopped.exitCode, 0);
      assert.ok((stopped.finishedAtMs ?? 0) > 0);
      await engine.stopContainer(id, 5);
      await engine.removeContainer(id);
      assert.equal(await engine.inspectContainer(id), undefined);
      await engine.removeContainer(id);
    });

    it('removes a running container', async () => {
      const id = await engine.createContainer(specOf());
      await engine.startContainer(id);
      await engine.removeContainer(id);
      assert.equal(await engine.inspectContainer(id), undefined);
    });

    it('kills, also what does not run', async () => {
      const id = await engine.createContainer(specOf());
      await engine.startContainer(id);
      await engine.killContainer(id);
      await eventually(async () => assert.equal((await engine.inspectContainer(id))?.exitCode, 137), { timeoutMs: 5_000, what: 'the end' });
      await engine.killContainer(id);
      await engine.removeContainer(id);
    });

    it('freezes, lets go on, and stops what is frozen', async () => {
      const id = await engine.createContainer(specOf());
      await engine.pauseContainer(id);
      await engine.unpauseContainer(id);
      await engine.startContainer(id);
      await engine.pauseContainer(id);
      await engine.pauseContainer(id);
      assert.equal((await engine.inspectContainer(id))?.state, 'paused');
      await engine.unpauseContainer(id);
      await engine.unpauseContainer(id);
      assert.equal((await engine.inspectContainer(id))?.state, 'running');
      await engine.pauseContainer(id);
      await engine.stopContainer(id, 1);
      assert.equal((await engine.inspectContainer(id))?.state, 'exited');
      await engine.removeContainer(id);
    });

    it('makes an image of a tar, and takes it away', async () => {
      const reference = `potluck-test/made-${randomUUID()}:1`;
      // An archive without a file is two empty blocks.
      await engine.importImage(reference, new Uint8Array(1024));
      const made = await engine.inspectImage(reference);
      assert.ok(made);
      await engine.removeImage(made.id);
      assert.equal(await engine.inspectImage(reference), undefined);
    });

    it('refuses a second container of the same name', async () => {
      const spec = specOf();
      const id = await engine.createContainer(spec);
      await rejectsWith('conflict', engine.createContainer(spec));
      await engine.removeContainer(id);
    });

    it('refuses an image that it does not have, and says that it has none', async () => {
      await rejectsWith('notFound', engine.createContainer(specOf({ image: 'potluck-test/none:1' })));
      assert.equal(await engine.inspectImage('potluck-test/none:1'), undefined);
      assert.ok(await engine.inspectImage(testImage));
    });

    it('refuses what it cannot find', async () => {
      await rejectsWith('notFound', engine.startContainer('potluck-none'));
      await rejectsWith('notFound', engine.updateLimits('potluck-none', limits));
      assert.equal(await engine.diskUsage('potluck-none'), undefined);
    });

    it('refuses to start in a working directory that cannot be', async () => {
      const id = await engine.createContainer(specOf({ workingDir: '/proc/none' }));
      await assert.rejects(engine.startContainer(id), EngineError);
      const container = await engine.inspectContainer(id);
      assert.notEqual(container?.state, 'running');
      assert.notEqual(container?.error, '');
      await engine.removeContainer(id);
    });

    it('changes limits of a container that runs', async () => {
      const id = await engine.createContainer(specOf());
      await engine.startContainer(id);
      const wider: ContainerLimits = {
        cpuMillis: 1500,
        cpuShares: 2048,
        cpuset: '0-1',
        memoryBytes: 128 * 1024 * 1024,
        memoryReservationBytes: 64 * 1024 * 1024,
        pids: 64,
      };
      await engine.updateLimits(id, wider);
      assert.deepEqual((await engine.inspectContainer(id))?.limits, wider);
      await engine.updateLimits(id, limits);
      assert.deepEqual((await engine.inspectContainer(id))?.limits, limits);
      await engine.removeContainer(id);
    });

    it('lists containers of one provider only, and of every provider when none is named', async () => {
      const mine = await engine.createContainer(specOf());
      const labels = { [instanceUidLabel]: randomUUID(), [instanceLabel]: 'ns/other', [providerLabel]: randomUUID() };
      const other = await engine.createContainer(specOf({ labels }));
      const stranger = await engine.createContainer(specOf({ labels: {} }));
      const ids = async (uid: string | undefined): Promise<string[]> => (await engine.listContainers(uid)).map(({ id }) => id).sort();
      assert.deepEqual(await ids(providerUid), [mine]);
      assert.deepEqual(await ids(undefined), [mine, other].sort());
      for (const id of [mine, other, stranger]) await engine.removeContainer(id);
    });

    it('tells of what happens to containers of one provider, and of nothing after it was stopped', async () => {
      const events: EngineEvent[] = [];
      const connections: boolean[] = [];
      const stream = engine.watchEvents({
        providerUid,
        onEvent: (event) => events.push(event),
        onConnection: (on) => connections.push(on),
      });
      await eventually(() => assert.deepEqual(connections, [true]), { timeoutMs: 5_000, what: 'the stream' });
      const spec = specOf();
      const id = await engine.createContainer(spec);
      const stranger = await engine.createContainer(specOf({ labels: {} }));
      await engine.startContainer(id);
      await engine.killContainer(id);
      const actions = (): string[] => events.map(({ action }) => action);
      await eventually(() => assert.ok(['create', 'start', 'die'].every((action) => actions().includes(action))), {
        timeoutMs: 5_000,
        what: 'the events',
      });
      assert.ok(events.every((event) => event.instanceUid === spec.labels[instanceUidLabel] && event.containerId === id));
      await stream.stop();
      events.length = 0;
      await engine.removeContainer(id);
      await engine.removeContainer(stranger);
      assert.deepEqual(events, []);
    });

    it('lists its images, and removes none that a container has', async () => {
      const info = await engine.inspectImage(testImage);
      const listed = (await engine.listImages()).find(({ id }) => id === info?.id);
      assert.deepEqual([listed?.tags, listed?.digests], [[testImage], []]);
      const id = await engine.createContainer(specOf());
      await rejectsWith('conflict', engine.removeImage(info?.id ?? ''));
      assert.ok(await engine.inspectImage(testImage));
      await engine.removeContainer(id);
      await engine.removeImage('sha256:none');
    });

    it('fails a pull that no registry answers', async () => {
      await assert.rejects(
        engine.pullImage('127.0.0.1:1/none:1', { onProgress: () => undefined, signal: AbortSignal.timeout(10_000) }),
        EngineError,
      );
    });
  });
}
