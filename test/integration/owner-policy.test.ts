/** The owner's word against everybody's, the admin's included: a real API server, a real dockerd, and the policy file between them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { Instance } from '../../api/generated/instance.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { condition, isReady as runs, startAgentWorld } from '../support/agent-world.ts';
import type { AgentWorld, InstanceStatus } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { otherTestImage } from '../support/image.ts';

const namespace = 'default';
const providerName = 'desktop';
/** What the owner is promised. */
const boundMs = 5_000;

describe("the owner's policy", function () {
  this.timeout(90_000);
  let world: AgentWorld;
  before(async () => {
    world = await startAgentWorld();
  });
  after(() => world.stop());
  afterEach(() => world.clear());

  const isHeldBy =
    (rule: RegExp) =>
    (status: InstanceStatus): void => {
      assert.equal(condition(status, 'Ready')?.reason, 'OwnerPolicy');
      assert.match(condition(status, 'Ready')?.message ?? '', rule);
    };

  it('stops everything within 5 s, keeps the disk, and starts it again when the owner allows', async () => {
    // One that does not listen to SIGTERM.
    const stubborn = ['sh', '-c', "trap '' TERM; test -e /kept && exec sleep 2000; echo x > /kept; while true; do sleep 1; done"];
    const one = await world.run('one');
    const two = await world.run('two', { command: stubborn, restartPolicy: 'Never' });
    await world.until('one', runs, 15_000);
    await world.until('two', runs, 15_000);
    await world.allow('stopNow: true');
    await world.until('one', isHeldBy(/stopNow/));
    await world.until('two', (status) => {
      isHeldBy(/stopNow/)(status);
      assert.equal(status.phase, 'Stopped');
    });
    for (const each of [one, two]) assert.equal((await world.inspect(each)).State.Running, false);
    const { status } = await eventually(
      async () => {
        const now = await world.admin.get(providers, { name: providerName });
        assert.deepEqual(now.status?.ownerPolicy, { open: false, reason: 'StopNow' });
        return now;
      },
      { timeoutMs: boundMs, what: 'the Provider to say so' },
    );
    assert.equal(status?.conditions?.find(({ type }) => type === 'OwnerPolicyValid')?.status, 'True');
    const { stdout } = await world.api.kubectl(['get', 'events', '-n', namespace, '-o', 'jsonpath={.items[*].reason}']);
    assert.match(stdout, /OwnerPolicy/);
    await world.allow('');
    await world.until('one', runs);
    const again = await world.until('two', runs);
    assert.equal(again.restartCount, 0, 'the end was not the instance’s own');
    assert.equal((await world.inspect(two)).Args.includes('sleep'), false);
  });

  it('stops all of many within 5 s, though none of them listens', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    const started = await Promise.all(
      names.map((name) => world.run(name, { command: ['sh', '-c', "trap '' TERM; while true; do sleep 1; done"] })),
    );
    await Promise.all(names.map((name) => world.until(name, runs, 60_000)));
    const pids = await Promise.all(started.map(async (each) => (await world.inspect(each)).State.Pid));
    await world.allow('stopNow: true');
    const alive = (): number[] => pids.filter((pid) => existsSync(`/proc/${pid}`));
    await eventually(() => assert.deepEqual(alive(), []), { timeoutMs: boundMs, what: 'the last process to end', intervalMs: 50 });
    // To take eight containers down and say so costs an engine on a busy machine some seconds more.
    await Promise.all(names.map((name) => world.until(name, isHeldBy(/stopNow/), 3 * boundMs)));
  });

  it('cannot be undone by any call to the API, not even the admin’s', async () => {
    const one = await world.run('one');
    await world.until('one', runs, 15_000);
    await world.allow('stopNow: true');
    await world.until('one', isHeldBy(/stopNow/));
    const name = { name: providerName };
    const free = { ownerPolicy: { open: true }, allocatable: { cpu: '64', memory: '64Gi', disk: '1Ti' } };
    await world.admin.patch(providers, name, { status: free }, { subresource: 'status' });
    await world.admin.patch(providers, name, { spec: { offer: { cpu: '64', memory: '64Gi', disk: '1Ti' }, available: true } });
    await world.admin.patch(instances, { namespace, name: 'one' }, { spec: { powerState: 'Stopped' } });
    await world.admin.patch(
      instances,
      { namespace, name: 'one' },
      { spec: { powerState: 'Running', image: otherTestImage, restartPolicy: 'Never' } },
    );
    await updateStatus(world.admin, instances, { namespace, name: 'one' }, (draft) => {
      draft.status = { ...draft.status, phase: 'Running', conditions: [] };
    });
    const newcomer = await world.run('two');
    await world.until('two', isHeldBy(/stopNow/));
    await world.until('one', isHeldBy(/stopNow/));
    assert.equal((await world.inspect(one)).State.Running, false);
    await assert.rejects(world.inspect(newcomer), { statusCode: 404 });
    await eventually(async () => assert.equal((await world.admin.get(providers, name)).status?.ownerPolicy?.open, false), {
      timeoutMs: 20_000,
      what: 'the agent to say again what the file says',
    });
    await world.stopAgent();
    await world.docker.getContainer(containerName(one.metadata.uid ?? '')).start();
    await world.startAgent();
    await eventually(async () => assert.equal((await world.inspect(one)).State.Running, false), {
      timeoutMs: boundMs,
      what: 'it to be stopped',
    });
  });

  it('throttles a running instance live, says how, and gives it back', async () => {
    const one = await world.run('one');
    await world.until('one', runs, 15_000);
    const before = await world.inspect(one);
    await world.allow('perInstance: { cpu: 100m, memory: 64Mi, pids: 16 }');
    const status = await world.until('one', (now) => assert.equal(condition(now, 'Throttled')?.status, 'True'));
    assert.match(condition(status, 'Throttled')?.message ?? '', /cpu 500m to 100m.*memory 128Mi to 64Mi.*pids 64 to 16/);
    const cut = await world.inspect(one);
    assert.deepEqual([cut.HostConfig.CpuQuota, cut.HostConfig.Memory, cut.HostConfig.PidsLimit], [10_000, 64 * 1024 ** 2, 16]);
    assert.equal(cut.State.StartedAt, before.State.StartedAt);
    await world.allow('');
    await world.until('one', (now) => assert.equal(condition(now, 'Throttled')?.status, 'False'));
    const { HostConfig: host } = await world.inspect(one);
    assert.deepEqual([host.CpuQuota, host.Memory, host.PidsLimit], [50_000, 128 * 1024 ** 2, 64]);
  });

  it('ends what uses more memory than is allowed now, and starts it again with less', async () => {
    // Holds 80 MiB from its first start only.
    const hold = 'test -e /been && exec sleep 2000; echo x > /been; head -c 80m /dev/zero | tail -c 80m | sleep 1000';
    const one = await world.run('one', { command: ['sh', '-c', hold] });
    await world.until('one', runs, 15_000);
    const used = async (): Promise<number> =>
      (await world.docker.getContainer(containerName(one.metadata.uid ?? '')).stats({ stream: false })).memory_stats.usage;
    await eventually(async () => assert.ok((await used()) > 70 * 1024 ** 2), { timeoutMs: 15_000, what: '80 MiB to be in use' });
    const before = await world.inspect(one);
    await world.allow('perInstance: { memory: 48Mi }');
    await eventually(
      async () => {
        const now = await world.inspect(one);
        assert.equal(now.HostConfig.Memory, 48 * 1024 ** 2);
        assert.notEqual(now.State.StartedAt, before.State.StartedAt);
        assert.equal(now.State.Running, true);
      },
      { timeoutMs: boundMs, what: 'it to run with less' },
    );
  });

  it('lets the oldest run when all together are over the total, and each that fits', async () => {
    const all: Instance[] = [];
    for (const name of ['one', 'two', 'three']) {
      all.push(await world.run(name));
      await world.until(name, runs, 15_000);
      // Creation times are whole seconds.
      await eventually(() => assert.ok(Date.now() >= Date.parse(all.at(-1)?.metadata.creationTimestamp ?? '') + 1_000), {
        timeoutMs: 3_000,
        what: 'the next second',
      });
    }
    await world.allow('total: { cpu: 500m }');
    await world.until('three', isHeldBy(/total\.cpu: 500m/));
    await world.until('two', runs);
    await world.allow('total: { cpu: 250m }');
    await world.until('two', isHeldBy(/total\.cpu/));
    await world.until('one', runs);
    await world.admin.delete(instances, { namespace, name: 'one' });
    await world.until('two', runs);
    await eventually(
      async () => assert.equal((await world.admin.get(providers, { name: providerName })).status?.allocatable?.['cpu'], '250m'),
      {
        timeoutMs: boundMs,
        what: 'allocatable to follow',
      },
    );
  });

  it('holds images, members and hours, and names the rule', async () => {
    await world.run('one');
    await world.until('one', runs, 15_000);
    await world.allow('images: { allow: ["debian"] }');
    await world.until('one', isHeldBy(/\(images\)/));
    await world.allow('images: { allow: ["potluck-test/busybox:1"] }');
    await world.until('one', runs);
    await world.allow('members: { deny: [default] }');
    await world.until('one', isHeldBy(/\(members\)/));
    await world.allow('hours: []');
    await world.until('one', isHeldBy(/\(hours\)/));
    await world.allow('runtimes: [runsc]');
    await world.until('one', isHeldBy(/\(runtimes\)/));
  });

  it('goes on by the last good file when the new one is broken, and says what is wrong with it', async () => {
    await world.run('one');
    await world.until('one', runs, 15_000);
    await world.allow('stopNow: true');
    await world.until('one', isHeldBy(/stopNow/));
    await world.allow('stopNow: maybe');
    const { status } = await eventually(
      async () => {
        const now = await world.admin.get(providers, { name: providerName });
        assert.equal(now.status?.conditions?.find(({ type }) => type === 'OwnerPolicyValid')?.status, 'False');
        return now;
      },
      { timeoutMs: boundMs, what: 'OwnerPolicyValid=False' },
    );
    const said = status?.conditions?.find(({ type }) => type === 'OwnerPolicyValid')?.message ?? '';
    assert.match(said, /owner-policy\.yaml line 3, stopNow: must be boolean/);
    await world.until('one', isHeldBy(/stopNow/));
    await eventually(
      async () => {
        const { stdout } = await world.api.kubectl([
          'get',
          'events',
          '-A',
          '--field-selector',
          'involvedObject.kind=Provider',
          '-o',
          'jsonpath={.items[*].message}',
        ]);
        assert.match(stdout, /stopNow: must be boolean/);
      },
      { timeoutMs: boundMs, what: 'the event' },
    );
  });
});
