import assert from 'node:assert/strict';
import fc from 'fast-check';
import { instanceUidLabel, providerLabel } from '../../api/names.ts';
import { secrets } from '../../api/resource-type.ts';
import { containerName, decide, isRunning, mostInstances, wantedLimits } from './converge.ts';
import { SimulatedAgent } from '../../test/support/simulated-agent.ts';
import type { DesiredInstance, ImageWant } from './world.ts';

const uids = ['a', 'b', 'c', 'd'];

function imageOf(reference: string): ImageWant {
  return { key: reference, reference, written: reference, namespace: 'ns', pullSecrets: [] };
}

function instance(uid: string, overrides: Partial<DesiredInstance> = {}): DesiredInstance {
  return {
    uid,
    name: uid,
    namespace: 'ns',
    generation: 1,
    epoch: 1,
    deleting: false,
    finished: false,
    powerState: 'Running',
    restartPolicy: 'Always',
    specHash: 'image:1',
    container: { hostname: uid },
    image: imageOf('image:1'),
    environment: [],
    resources: {
      cpuRequestMillicores: 500,
      cpuLimitMillicores: 500,
      memoryRequestBytes: 1,
      memoryLimitBytes: 2,
      diskRequestBytes: 0,
      diskLimitBytes: 5,
      pidsLimit: 10,
      ingressBitsPerSecond: undefined,
      egressBitsPerSecond: undefined,
      gpus: 0,
    },
    reportedRestartCount: 0,
    ...overrides,
  };
}

/** What may happen to a provider, from any side. */
type Happening =
  | { kind: 'assign'; uid: string; cpuMillis: number; policy: DesiredInstance['restartPolicy'] }
  | { kind: 'unassign' | 'delete' | 'togglePower' | 'changeImage' | 'changeLimits' | 'changeBandwidth' | 'replace' | 'vanish'; uid: string }
  | { kind: 'end'; uid: string; exitCode: number }
  | { kind: 'duplicate' | 'strangerOfOther' | 'strangerWithout'; uid: string }
  | { kind: 'wallsDown' | 'wallsUp' }
  | { kind: 'engineAway' | 'engineBack' | 'sync' | 'restart' | 'restartWithoutJournal' | 'imagesGone' }
  | { kind: 'pass'; steps: number; waitMs: number };

const uid = fc.constantFrom(...uids);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('assign' as const),
      uid,
      cpuMillis: fc.constantFrom(250, 500, 1000, 2000),
      policy: fc.constantFrom('Always' as const, 'OnFailure' as const, 'Never' as const),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('unassign', 'delete', 'togglePower', 'changeImage', 'changeLimits', 'changeBandwidth', 'replace', 'vanish'),
      uid,
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), uid, exitCode: fc.constantFrom(0, 1, 137) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('duplicate', 'strangerOfOther', 'strangerWithout'), uid }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('wallsDown', 'wallsUp') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('engineAway', 'engineBack', 'sync', 'restart', 'restartWithoutJournal', 'imagesGone'),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      steps: fc.integer({ min: 1, max: 6 }),
      waitMs: fc.constantFrom(0, 1_000, 60_000, 700_000),
    }),
  },
);

async function happen(agent: SimulatedAgent, what: Happening): Promise<void> {
  switch (what.kind) {
    case 'pass':
      for (let step = 0; step < what.steps; step += 1) await agent.step();
      agent.engine.nowMs += what.waitMs;
      return;
    case 'engineAway':
      agent.isEngineAway = true;
      return;
    case 'wallsDown':
    case 'wallsUp':
      agent.areWallsDown = what.kind === 'wallsDown';
      return;
    case 'engineBack':
      agent.isEngineAway = false;
      return;
    case 'sync':
      agent.isSynced = true;
      return;
    case 'restart':
    case 'restartWithoutJournal':
      agent.restart(what.kind === 'restart');
      return;
    case 'imagesGone':
      agent.engine.images.clear();
      return;
    default:
      happenTo(agent, what);
  }
}

function happenTo(agent: SimulatedAgent, what: Happening & { uid: string }): void {
  const desired = agent.desired.get(what.uid);
  const own = agent.own(what.uid);
  const id = `extra-${(agent.nextId += 1)}`;
  switch (what.kind) {
    case 'assign': {
      if (desired !== undefined) return;
      const fresh = instance(what.uid, { restartPolicy: what.policy, epoch: (agent.journal.entries.get(what.uid)?.epoch ?? 0) + 1 });
      fresh.resources = { ...fresh.resources, cpuRequestMillicores: what.cpuMillis, cpuLimitMillicores: what.cpuMillis };
      agent.desired.set(what.uid, fresh);
      agent.statuses.delete(what.uid);
      return;
    }
    case 'unassign':
      agent.desired.delete(what.uid);
      return;
    case 'end':
      for (const container of own.filter(isRunning)) agent.engine.end(container.id, { exitCode: what.exitCode });
      return;
    case 'vanish':
      for (const container of own) agent.engine.containers.delete(container.id);
      return;
    case 'duplicate': {
      const [first] = own;
      if (first === undefined) return;
      agent.engine.add({ ...first, id, name: id, spec: { name: id } as never });
      return;
    }
    case 'strangerOfOther':
      agent.addStranger({ [instanceUidLabel]: what.uid, [providerLabel]: 'provider-2' }, id);
      return;
    case 'strangerWithout':
      agent.addStranger({ [instanceUidLabel]: what.uid }, id);
      return;
    default:
      if (desired !== undefined) edit(desired, what.kind);
  }
}

function edit(desired: DesiredInstance, kind: string): void {
  desired.generation += 1;
  if (kind === 'delete') desired.deleting = true;
  if (kind === 'togglePower') desired.powerState = desired.powerState === 'Running' ? 'Stopped' : 'Running';
  if (kind === 'replace') desired.epoch += 1;
  if (kind === 'changeLimits') desired.resources = { ...desired.resources, pidsLimit: desired.resources.pidsLimit + 1 };
  if (kind === 'changeBandwidth') {
    const ingressBitsPerSecond = desired.resources.ingressBitsPerSecond === undefined ? 1_000_000 : undefined;
    desired.resources = { ...desired.resources, ingressBitsPerSecond };
  }
  if (kind === 'changeImage') {
    const image = desired.image.written === 'image:1' ? 'image:2' : 'image:1';
    desired.image = imageOf(image);
    desired.specHash = image;
  }
}

/** From now on nothing goes wrong. Fails when the agent does not come to rest. */
async function settle(agent: SimulatedAgent): Promise<void> {
  agent.failureRate = 0;
  agent.isEngineAway = false;
  agent.areWallsDown = false;
  agent.isSynced = true;
  for (let round = 0; round < 60; round += 1) {
    const taken = await agent.step();
    // A status that was written in this round may have changed what the next one decides.
    const next = [...agent.decisions().values()];
    if (taken === 0 && next.every(({ action, recheckAtMs }) => action === undefined && recheckAtMs === undefined)) return;
    if (taken === 0) agent.engine.nowMs += 60_000;
  }
  assert.fail(`no rest: ${JSON.stringify([...agent.decisions()])} with ${JSON.stringify([...agent.engine.containers.values()])}`);
}

function assertConverged(agent: SimulatedAgent): void {
  agent.assertPinnedCoresAreNotShared();
  const world = agent.world();
  for (const uid of uids) {
    const desired = agent.desired.get(uid);
    const own = agent.own(uid);
    if (desired === undefined || desired.deleting) {
      assert.deepEqual(own, [], `${uid} should be gone`);
      continue;
    }
    assert.ok(own.length <= 1, `${uid} has ${own.length} containers`);
    const [container] = own;
    if (desired.finished || desired.powerState === 'Stopped') {
      assert.ok(container === undefined || !isRunning(container), `${uid} should not run`);
      continue;
    }
    assert.equal(container?.state, 'running', `${uid} should run`);
    assert.equal(container.image, desired.image.reference);
    assert.deepEqual(container.limits, wantedLimits(world, desired));
    assert.equal(agent.statuses.get(uid)?.phase, 'Running');
    assert.equal(agent.statuses.get(uid)?.observedEpoch, desired.epoch);
  }
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const scenario = fc.record({
  seed: fc.nat(),
  failureRate: fc.constantFrom(0, 0.1, 0.4),
  happenings: fc.array(happening, { minLength: 20, maxLength: 80, size: 'max' }),
});

/** The simulated agent asserts at every call that it touches only what is its own, and gives nobody cores that are taken. */
async function live(agent: SimulatedAgent, happenings: readonly Happening[], failureRate: number): Promise<void> {
  agent.failureRate = failureRate;
  for (const what of happenings) await happen(agent, what);
}

describe('converge() under anything that happens', () => {
  it('comes to rest with exactly one running container for each instance that is to run, and none for others', async () => {
    const property = fc.asyncProperty(scenario, async ({ seed, failureRate, happenings }) => {
      const agent = new SimulatedAgent(seeded(seed));
      await live(agent, happenings, failureRate);
      await settle(agent);
      assertConverged(agent);
    });
    await fc.assert(property, { numRuns: 150 });
  });

  it('never touches a container without our labels, and never removes one before the list was read', async () => {
    const property = fc.asyncProperty(scenario, async ({ seed, happenings }) => {
      const agent = new SimulatedAgent(seeded(seed));
      await live(agent, happenings, 0.2);
      const strangers = [...agent.strangers];
      await settle(agent);
      for (const id of strangers) assert.ok(agent.engine.containers.has(id), 'a stranger is gone');
    });
    await fc.assert(property, { numRuns: 100 });
  });

  it('does nothing at all when everything is as it should be', async () => {
    const property = fc.asyncProperty(scenario, async ({ seed, happenings }) => {
      const agent = new SimulatedAgent(seeded(seed));
      await live(agent, happenings, 0);
      await settle(agent);
      const callsBefore = agent.engine.calls.length;
      const statusesBefore = structuredClone([...agent.statuses]);
      for (let step = 0; step < 3; step += 1) assert.equal(await agent.step(), 0);
      assert.equal(agent.engine.calls.length, callsBefore);
      assert.deepEqual([...agent.statuses], statusesBefore);
    });
    await fc.assert(property, { numRuns: 100 });
  });

  it('has never two containers for one instance, not even for a moment, unless somebody else made one', async () => {
    const property = fc.asyncProperty(scenario, async ({ seed, failureRate, happenings }) => {
      const agent = new SimulatedAgent(seeded(seed));
      agent.failureRate = failureRate;
      for (const what of happenings.filter(({ kind }) => kind !== 'duplicate')) {
        await happen(agent, what);
        for (const each of uids) assert.ok(agent.own(each).length <= 1);
      }
    });
    await fc.assert(property, { numRuns: 100 });
  });
});

describe('converge() while the walls do not stand', () => {
  it('stops whatever runs, starts nothing, and goes on as if nothing had been when they stand', async () => {
    const property = fc.asyncProperty(scenario, async ({ seed, failureRate, happenings }) => {
      const agent = new SimulatedAgent(seeded(seed));
      await live(agent, happenings, failureRate);
      const started = (): number => agent.engine.calls.filter(({ method }) => method === 'startContainer').length;
      Object.assign(agent, { areWallsDown: true, isEngineAway: false, isSynced: false, failureRate: 0 });
      const before = started();
      for (let step = 0; step < 5; step += 1) await agent.step();
      assert.equal(started(), before);
      for (const each of uids) assert.ok(!agent.own(each).some(isRunning), `${each} runs without walls`);
      await settle(agent);
      assertConverged(agent);
    });
    await fc.assert(property, { numRuns: 100 });
  });

  it('says so in the status, and counts no crash', async () => {
    const agent = new SimulatedAgent(() => 0.5);
    agent.isSynced = true;
    agent.desired.set('a', instance('a', { restartPolicy: 'Never' }));
    for (let step = 0; step < 8; step += 1) await agent.step();
    agent.areWallsDown = true;
    for (let step = 0; step < 3; step += 1) await agent.step();
    const ready = agent.statuses.get('a')?.conditions?.find(({ type }) => type === 'Ready');
    assert.equal(ready?.status, 'False');
    assert.equal(ready.reason, 'WallsDown');
    agent.areWallsDown = false;
    for (let step = 0; step < 3; step += 1) await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'running');
    assert.equal(agent.statuses.get('a')?.restartCount, 0);
  });
});

describe('decide()', () => {
  async function running(overrides: Partial<DesiredInstance> = {}): Promise<SimulatedAgent> {
    const agent = new SimulatedAgent(() => 0.5);
    agent.isSynced = true;
    agent.desired.set('a', instance('a', overrides));
    for (let step = 0; step < 8; step += 1) await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'running');
    return agent;
  }

  const methods = (agent: SimulatedAgent): string[] => agent.engine.calls.map(({ method }) => method);

  it('takes an instance from nothing to running by adopt, image, create, start', async () => {
    const agent = await running();
    assert.deepEqual(methods(agent), ['inspectImage', 'createContainer', 'startContainer']);
    assert.equal(agent.own('a')[0]?.name, containerName('a'));
  });

  it('waits for a secret that is missing, longer each time, says so in the words of Kubernetes, and goes on when it is there', async () => {
    const agent = new SimulatedAgent(() => 0.5);
    agent.isSynced = true;
    const source = { kind: 'Secret', name: 'db', optional: false } as const;
    agent.desired.set('a', instance('a', { environment: [{ kind: 'key', name: 'PASSWORD', source, key: 'password' }] }));
    const waits: number[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      while (decide(agent.world(), 'a').action !== undefined) await agent.step();
      const { waiting, recheckAtMs = 0 } = decide(agent.world(), 'a');
      assert.deepEqual(waiting, { reason: 'CreateContainerConfigError', message: 'secret "db" not found' });
      waits.push((recheckAtMs - agent.engine.nowMs) / 1000);
      agent.engine.nowMs = recheckAtMs;
    }
    assert.deepEqual(waits, [1, 2, 4, 8, 16]);
    assert.ok(!methods(agent).includes('createContainer'));
    const { namespace } = agent.desired.get('a')!;
    const data = { password: 'aHVudGVyMg==' };
    await agent.api.create(secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'db', namespace }, data });
    for (let step = 0; step < 3; step += 1) await agent.step();
    assert.deepEqual([...agent.engine.containers.values()][0]?.spec.env, [{ name: 'PASSWORD', value: 'hunter2' }]);
    const remembered = JSON.stringify([[...agent.journal.entries], [...agent.statuses]]);
    assert.ok(!remembered.includes('hunter2') && !remembered.includes('aHVudGVyMg'));
  });

  it('gives the container its disk: what the image takes and the limit', async () => {
    const agent = await running();
    assert.equal([...agent.engine.containers.values()][0]?.spec.diskBytes, 6);
  });

  it('does nothing about a placement that is older than the one it knows', async () => {
    const agent = await running({ epoch: 5 });
    const desired = agent.desired.get('a')!;
    desired.epoch = 4;
    desired.deleting = true;
    assert.deepEqual(decide(agent.world(), 'a'), {});
  });

  it('decides nothing while the engine is away', async () => {
    const agent = await running();
    agent.isEngineAway = true;
    agent.desired.clear();
    assert.equal(decide(agent.world(), 'a').action, undefined);
  });

  it('removes nothing for lack of an instance before the list was read', async () => {
    const agent = await running();
    agent.desired.clear();
    agent.isSynced = false;
    assert.deepEqual(decide(agent.world(), 'a'), {});
    agent.isSynced = true;
    assert.equal(decide(agent.world(), 'a').action?.type, 'remove');
  });

  it('restarts at once, then after 10 s, 20 s and so on up to 5 min, and at once again after ten minutes of running', async () => {
    const agent = await running();
    const waits: number[] = [];
    for (let crash = 0; crash < 8; crash += 1) {
      agent.engine.nowMs += 1_000;
      const endedMs = agent.engine.nowMs;
      agent.engine.end(agent.own('a')[0]!.id, { exitCode: 1 });
      while (decide(agent.world(), 'a').action === undefined) agent.engine.nowMs = decide(agent.world(), 'a').recheckAtMs!;
      waits.push((agent.engine.nowMs - endedMs) / 1000);
      await agent.step();
    }
    assert.deepEqual(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    assert.equal(agent.journal.entries.get('a')?.restartCount, 8);
    agent.engine.nowMs += 600_000;
    agent.engine.end(agent.own('a')[0]!.id, { exitCode: 1 });
    assert.equal(decide(agent.world(), 'a').action?.type, 'start');
  });

  it('counts a restart once, however often the start is tried', async () => {
    const agent = await running();
    agent.engine.end(agent.own('a')[0]!.id, { exitCode: 1 });
    agent.failureRate = 1;
    for (let step = 0; step < 5; step += 1) {
      agent.engine.nowMs += 400_000;
      await agent.step();
    }
    agent.failureRate = 0;
    agent.engine.nowMs += 400_000;
    await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'running');
    assert.equal(agent.journal.entries.get('a')?.restartCount, 1);
  });

  it('starts what it stopped itself at once, whatever the restart policy', async () => {
    const agent = await running({ restartPolicy: 'Never' });
    agent.desired.get('a')!.powerState = 'Stopped';
    await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'exited');
    assert.equal(agent.statuses.get('a')?.phase, 'Stopped');
    agent.desired.get('a')!.powerState = 'Running';
    await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'running');
    assert.equal(agent.journal.entries.get('a')?.restartCount, 0);
  });

  it('restarts OnFailure only what failed', async () => {
    const agent = await running({ restartPolicy: 'OnFailure' });
    agent.engine.end(agent.own('a')[0]!.id, { exitCode: 1 });
    await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'running');
    agent.engine.end(agent.own('a')[0]!.id, { exitCode: 0 });
    await agent.step();
    assert.equal(agent.statuses.get('a')?.phase, 'Succeeded');
    assert.equal(agent.own('a')[0]?.state, 'exited');
  });

  it('fetches the new image before it throws the old container away', async () => {
    const agent = await running();
    agent.engine.registry.delete('image:2');
    edit(agent.desired.get('a')!, 'changeImage');
    for (let step = 0; step < 4; step += 1) await agent.step();
    assert.equal(agent.own('a')[0]?.state, 'running');
    assert.equal(agent.own('a')[0]!.image, 'image:1');
  });

  it('gives each container graphics processors of its own, and makes none without', async () => {
    const agent = new SimulatedAgent(() => 0.5);
    agent.isSynced = true;
    agent.engine.registry.set('image:1', { id: 'sha256:1', sizeBytes: 100, digests: [] });
    const steps = async (): Promise<void> => {
      for (let step = 0; step < 30; step += 1) await agent.step();
    };
    const wanting = (uid: string, gpus: number): DesiredInstance => {
      const one = instance(uid);
      return { ...one, resources: { ...one.resources, gpus } };
    };
    for (const uid of ['a', 'b', 'c']) agent.desired.set(uid, wanting(uid, 1));
    await steps();
    const given = ['a', 'b', 'c'].map((uid) => agent.own(uid)[0]?.gpus);
    assert.deepEqual(given.flatMap((ids) => ids ?? []).sort(), ['GPU-1', 'GPU-2']);
    const left = ['a', 'b', 'c'].find((uid) => agent.own(uid).length === 0) ?? '';
    assert.match(agent.decisions().get(left)?.waiting?.message ?? '', /needs 1 of the machine's 2 graphics processors, and 0 are free/);
    agent.desired.delete(['a', 'b', 'c'].find((uid) => uid !== left) ?? '');
    await steps();
    assert.equal(agent.own(left)[0]?.gpus?.length, 1);
  });

  it('fetches the image of what is stopped from the start, and makes no container of it', async () => {
    const agent = new SimulatedAgent(() => 0.5);
    agent.desired.set('a', instance('a', { powerState: 'Stopped' }));
    for (let step = 0; step < 6; step += 1) await agent.step();
    assert.ok(agent.engine.images.has('image:1'));
    assert.equal(agent.engine.containers.size, 0);
    assert.equal(agent.statuses.get('a')?.phase, 'Stopped');
  });

  it('waits for cores of its own until whoever ran there has moved', async () => {
    const agent = await running();
    assert.equal(agent.own('a')[0]?.limits.cpuset, '0-3');
    const whole = instance('b');
    whole.resources = { ...whole.resources, cpuRequestMillicores: 1000, cpuLimitMillicores: 1000 };
    agent.desired.set('b', whole);
    for (let step = 0; step < 8; step += 1) await agent.step();
    assert.equal(agent.own('a')[0]?.limits.cpuset, '0-2');
    assert.equal(agent.own('b')[0]?.limits.cpuset, '3');
    agent.desired.get('b')!.deleting = true;
    for (let step = 0; step < 3; step += 1) await agent.step();
    assert.equal(agent.own('a')[0]?.limits.cpuset, '0-3');
  });

  it('makes no more containers than a provider can hold', async () => {
    const agent = await running();
    for (let index = 1; index < mostInstances; index += 1) agent.addStranger({ [instanceUidLabel]: `s${index}` }, `s${index}`);
    agent.desired.set('b', instance('b'));
    for (let step = 0; step < 6; step += 1) await agent.step();
    assert.deepEqual(agent.own('b'), []);
    assert.match(decide(agent.world(), 'b').waiting?.message ?? '', /256 instances/);
  });

  it('does not wait for a clock that was set back', async () => {
    const agent = await running();
    for (let crash = 0; crash < 3; crash += 1) {
      agent.engine.end(agent.own('a')[0]!.id, { exitCode: 1 });
      agent.engine.nowMs += 400_000;
      await agent.step();
    }
    agent.engine.end(agent.own('a')[0]!.id, { exitCode: 1 });
    agent.engine.nowMs -= 3_600_000;
    assert.equal(decide(agent.world(), 'a').action?.type, 'start');
  });
});
