import assert from 'node:assert/strict';
import { setCondition } from '../../api/conditions.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import { containerFinalizer } from '../../api/names.ts';
import { instances, namespaces, providerReservations, providers } from '../../api/resource-type.ts';
import { ApiError, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { createInformer } from '../../client/kube-informer.ts';
import { startController } from '../../controller/reconcilers.ts';
import type { ControllerOptions, RunningController } from '../../controller/reconcilers.ts';
import { askedRow } from '../../controller/scheduler/amounts.ts';
import { sumOf } from '../../controller/scheduler/ledger.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { FakeMachines } from '../support/fake-machines.ts';
import { instanceManifest } from '../support/manifests.ts';
import type { InstanceOptions } from '../support/manifests.ts';

describe('the controller, with a real API server and etcd', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let client: KubeClient;
  let machines: FakeMachines;
  let ledgers: Informer<ProviderReservation>;
  const running: RunningController[] = [];
  /** Every ledger that was ever over its provider's allocatable. */
  const overfilled: string[] = [];
  const cores = new Map<string, number>();

  before(async () => {
    api = await startTestApiServer();
    client = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'potluck-test' });
    ledgers = createInformer(client, providerReservations, { logger: silentLogger });
    ledgers.onChange((name, ledger) => {
      const millicores = sumOf(ledger?.spec.reservations ?? [])[0] ?? 0;
      if (millicores > (cores.get(name) ?? 0) * 1000) overfilled.push(`${name}: ${millicores}m`);
    });
    ledgers.start();
    await ledgers.whenSynced();
  });

  after(async () => {
    await ledgers.stop();
    client.close();
    await api.stop();
  });

  beforeEach(() => {
    machines = new FakeMachines(client);
  });

  afterEach(async () => {
    await Promise.all(running.splice(0).map((controller) => controller.stop()));
    await machines.stop();
    for (const { metadata } of (await client.list(instances)).items) {
      const key = { namespace: metadata.namespace!, name: metadata.name! };
      await client.patch(instances, key, { metadata: { finalizers: null } }).catch(ignoreNotFound);
      await client.delete(instances, key).catch(ignoreNotFound);
    }
    for (const { metadata } of (await client.list(providers)).items) await client.delete(providers, { name: metadata.name! });
    for (const { metadata } of (await client.list(providerReservations)).items) {
      await client.delete(providerReservations, { name: metadata.name! });
    }
    assert.deepEqual(overfilled, []);
  });

  async function start(options: Partial<ControllerOptions> = {}): Promise<RunningController> {
    const controller = await startController({ client, logger: silentLogger, identity: 'test', leaderElection: false, ...options });
    running.push(controller);
    return controller;
  }

  async function addMachine(name: string, cpu: number, spec: Parameters<FakeMachines['add']>[2] = {}): Promise<void> {
    cores.set(name, cpu);
    await machines.add(name, { cpu: String(cpu), memory: '16Gi' }, spec);
  }

  async function apply(name: string, options: InstanceOptions = {}): Promise<Instance> {
    return client.create(instances, instanceManifest(name, { ...options, requests: { cpu: '1', ...options.requests } }));
  }

  async function get(name: string, namespace = 'default'): Promise<Instance> {
    return client.get(instances, { namespace, name });
  }

  async function untilPlaced(name: string, timeoutMs = 10_000): Promise<Instance> {
    return eventually(
      async () => {
        const instance = await get(name);
        assert.ok(instance.status?.assignment, scheduledOf(instance)?.message ?? 'nothing was said');
        return instance;
      },
      { timeoutMs, what: `${name} to be placed` },
    );
  }

  async function reservationsOf(provider: string): Promise<string[]> {
    try {
      const ledger = await client.get(providerReservations, { name: provider });
      return (ledger.spec.reservations ?? []).map(({ name, epoch }) => `${name}@${epoch}`).sort();
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }

  it('says on the provider what is reserved and left, and gives graphics processors only where they are', async () => {
    await addMachine('plain', 4);
    cores.set('gpu', 4);
    await machines.add('gpu', { cpu: '4', memory: '16Gi', 'nvidia.com/gpu': '2' });
    await start();
    const wanting = (count: number): Record<string, string> => ({ 'nvidia.com/gpu': String(count) });
    await apply('learner', { requests: wanting(2) });
    assert.equal((await untilPlaced('learner')).status?.assignment?.providerName, 'gpu');
    await apply('another', { requests: wanting(1) });
    await eventually(
      async () => {
        const { status } = await client.get(providers, { name: 'gpu' });
        assert.deepEqual([status?.reserved?.['cpu'], status?.reserved?.['nvidia.com/gpu']], ['1', '2']);
        assert.deepEqual([status?.left?.['cpu'], status?.left?.['nvidia.com/gpu']], ['3', '0']);
        assert.equal(scheduledOf(await get('another'))?.message, '0/2 providers fit: 2 not enough nvidia.com/gpu');
      },
      { timeoutMs: 10_000, what: 'the totals' },
    );
  });

  it('places exactly 10 of 20 instances with two schedulers at once and room for 10, never over any allocatable', async () => {
    await Promise.all([addMachine('one', 5), addMachine('two', 3), addMachine('three', 2)]);
    await start({ identity: 'first' });
    await start({ identity: 'second' });
    await Promise.all(Array.from({ length: 20 }, (_, index) => apply(`crowd-${index}`)));
    await eventually(
      async () => {
        const { items } = await client.list(instances);
        const placed = items.filter(({ status }) => status?.assignment !== undefined);
        const refused = items.filter((instance) => scheduledOf(instance)?.reason === 'NoProviderFits');
        assert.deepEqual([placed.length, refused.length], [10, 10]);
        for (const instance of refused) assert.equal(scheduledOf(instance)?.message, '0/3 providers fit: 3 not enough cpu');
      },
      { timeoutMs: 20_000, what: '10 to be placed and 10 to be told why not' },
    );
    const placed = (await client.list(instances)).items.filter(({ status }) => status?.assignment !== undefined);
    assert.equal(new Set(placed.map(({ status }) => status?.hostname)).size, 10);
    for (const [provider, room] of [
      ['one', 5],
      ['two', 3],
      ['three', 2],
    ] as const) {
      const here = placed.filter(({ status }) => status?.assignment?.providerName === provider);
      assert.equal(here.length, room, provider);
      assert.deepEqual(await reservationsOf(provider), here.map(({ metadata, status }) => `${metadata.name}@${status?.lastEpoch}`).sort());
    }
    assert.ok(placed.every(({ metadata }) => metadata.finalizers?.includes(containerFinalizer)));
  });

  it('lets one of two lead, and the other take over when it stops', async () => {
    await addMachine('desk', 2);
    const first = await start({ identity: 'first', leaderElection: true });
    await apply('before');
    await untilPlaced('before');
    await start({ identity: 'second', leaderElection: true });
    await first.stop();
    await apply('after');
    await untilPlaced('after');
  });

  it('gives a place that became free to one that waits', async () => {
    await addMachine('single', 1);
    await start();
    await apply('first');
    await untilPlaced('first');
    await apply('second');
    await eventually(async () => assert.equal(scheduledOf(await get('second'))?.status, 'False'), {
      timeoutMs: 5_000,
      what: 'the refusal',
    });
    await updateStatus(client, instances, { namespace: 'default', name: 'first' }, (instance) => ({
      ...instance,
      status: { ...instance.status, phase: 'Succeeded' },
    }));
    const second = await untilPlaced('second');
    assert.notEqual(second.status?.hostname, (await get('first')).status?.hostname, 'a finished instance keeps its name');
  });

  it('tells an impossible instance why, once, with an event, and takes it up when a provider comes', async () => {
    await addMachine('small', 1);
    await start();
    await apply('large', { requests: { cpu: '4' } });
    const refused = await eventually(
      async () => {
        const instance = await get('large');
        assert.equal(scheduledOf(instance)?.message, '0/1 providers fit: 1 not enough cpu');
        assert.equal(instance.status?.phase, 'Pending');
        return instance;
      },
      { timeoutMs: 5_000, what: 'the sentence' },
    );
    await eventually(
      async () => {
        const { stdout } = await api.kubectl(['get', 'events', '-o', 'jsonpath={.items[?(@.reason=="NoProviderFits")].message}']);
        assert.match(stdout, /0\/1 providers fit: 1 not enough cpu/);
      },
      { timeoutMs: 5_000, what: 'the event' },
    );
    assert.equal((await get('large')).metadata.resourceVersion, refused.metadata.resourceVersion, 'nothing is written again');
    await addMachine('big', 8);
    assert.equal((await untilPlaced('large')).status?.assignment?.providerName, 'big');
  });

  it('empties a withdrawn provider within its grace, places its instances elsewhere with a new epoch, and takes it back', async () => {
    await addMachine('leaving', 4, { withdrawalGraceSeconds: 1 });
    await start();
    await apply('moves');
    assert.equal((await untilPlaced('moves')).status?.assignment?.providerName, 'leaving');
    await addMachine('staying', 4);
    await client.patch(providers, { name: 'leaving' }, { spec: { available: false } });
    await eventually(
      async () => {
        const { status } = await get('moves');
        assert.equal(status?.assignment?.providerName, 'staying');
        assert.equal(status.assignment.epoch, 2);
        assert.equal(status.hostname, 'default-staying-0');
        assert.equal((await client.get(providers, { name: 'leaving' })).status?.phase, 'Withdrawn');
        assert.deepEqual(await reservationsOf('leaving'), []);
      },
      { timeoutMs: 5_000, what: 'the move' },
    );
    await client.patch(providers, { name: 'leaving' }, { spec: { available: true } });
    await eventually(
      async () => {
        const { status } = await client.get(providers, { name: 'leaving' });
        assert.equal(status?.phase, 'Ready');
        assert.equal(status.withdrawnAt, undefined);
      },
      { timeoutMs: 5_000, what: 'the provider to be back' },
    );
  });

  it('heals a scheduler that died between reserving and binding: the next one takes its reservation up', async () => {
    await addMachine('desk', 2);
    const dying = await start({ client: withoutBinds(client), identity: 'dying' });
    await apply('half');
    await eventually(async () => assert.deepEqual(await reservationsOf('desk'), ['half@1']), { timeoutMs: 5_000, what: 'the reservation' });
    await dying.stop();
    await start({ identity: 'next' });
    const { status } = await untilPlaced('half');
    assert.equal(status?.assignment?.epoch, 1);
    assert.deepEqual(await reservationsOf('desk'), ['half@1']);
  });

  it('expires a reservation that nobody binds, and a bind at its epoch can never succeed after that', async () => {
    await addMachine('desk', 2);
    const late: (() => Promise<unknown>)[] = [];
    const frozen = await start({ client: withoutBinds(client, late), identity: 'frozen' });
    await apply('late');
    await eventually(async () => assert.deepEqual(await reservationsOf('desk'), ['late@1']), { timeoutMs: 5_000, what: 'the reservation' });
    await eventually(() => assert.ok(late.length > 0), { timeoutMs: 5_000, what: 'the bind' });
    await frozen.stop();
    const keeper = await start({ client: withoutBinds(client), identity: 'keeper', reservationExpiryMs: 300 });
    await eventually(async () => assert.ok(((await get('late')).status?.lastEpoch ?? 0) >= 1), {
      timeoutMs: 5_000,
      what: 'the epoch to be burnt',
    });
    await assert.rejects(late[0]!(), (error: unknown) => error instanceof ApiError && error.code === 409);
    await keeper.stop();
    await start({ identity: 'healthy' });
    assert.ok((await untilPlaced('late')).status!.assignment!.epoch >= 2);
    await eventually(async () => assert.equal((await reservationsOf('desk')).length, 1), { timeoutMs: 5_000, what: 'one reservation' });
  });

  it('writes a ledger anew that somebody deleted, with what is bound there', async () => {
    await addMachine('desk', 2);
    await start();
    await apply('first');
    await untilPlaced('first');
    await client.delete(providerReservations, { name: 'desk' });
    await apply('second');
    await apply('third');
    await eventually(
      async () => {
        const { items } = await client.list(instances);
        const placed = items.filter(({ status }) => status?.assignment !== undefined);
        assert.equal(placed.length, 2);
        assert.equal(items.filter((instance) => scheduledOf(instance)?.status === 'False').length, 1);
        assert.equal((await reservationsOf('desk')).length, 2);
        assert.equal(new Set(placed.map(({ status }) => status?.hostname)).size, 2);
      },
      { timeoutMs: 5_000, what: 'two of three' },
    );
  });

  it('gives ambiguous names of namespace and provider different hostnames', async () => {
    await Promise.all(
      ['toto', 'toto-alans'].map((name) => client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    );
    await addMachine('alans-desktop', 2);
    await addMachine('desktop', 2);
    await start();
    await apply('a', { namespace: 'toto', placement: { providerName: 'alans-desktop' } });
    await apply('b', { namespace: 'toto-alans', placement: { providerName: 'desktop' } });
    const hostnames = await eventually(
      async () => {
        const names = [await get('a', 'toto'), await get('b', 'toto-alans')].map(({ status }) => status?.hostname);
        assert.ok(names.every((name) => name !== undefined));
        return names;
      },
      { timeoutMs: 5_000, what: 'both to be placed' },
    );
    assert.deepEqual(hostnames, ['toto-alans-desktop-0', 'toto-alans-desktop-1']);
  });

  it('says Lost when the provider does not renew, starts no second copy, and finds it again', async () => {
    await addMachine('asleep', 2);
    await addMachine('awake', 2);
    await start({ providerLeaseDurationMs: 2_000 });
    await apply('waits', { placement: { providerName: 'asleep' } });
    await untilPlaced('waits');
    machines.silence('asleep');
    await eventually(
      async () => {
        const instance = await get('waits');
        assert.equal(instance.status?.phase, 'Lost');
        assert.equal(instance.status.conditions?.find(({ type }) => type === 'Ready')?.reason, 'ProviderLost');
        assert.equal(instance.status.assignment?.epoch, 1);
        assert.equal((await client.get(providers, { name: 'asleep' })).status?.phase, 'Unknown');
        assert.equal((await client.get(providers, { name: 'awake' })).status?.phase, 'Ready');
      },
      { timeoutMs: 10_000, what: 'the instance to be Lost' },
    );
    const { metadata } = await client.get(providers, { name: 'asleep' });
    await client.patch(
      { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
      { namespace: 'potluck-provider-leases', name: 'asleep' },
      { spec: { holderIdentity: metadata.uid, renewTime: '2020-01-01T00:00:00.000000Z' } },
    );
    await eventually(async () => assert.equal((await get('waits')).status?.phase, 'Assigned'), {
      timeoutMs: 1_900,
      what: 'it to be found',
    });
  });

  it('holds a deleted instance until its agent removed the container at the current epoch', async () => {
    await addMachine('desk', 2);
    await start();
    await apply('held');
    await untilPlaced('held');
    await client.delete(instances, { namespace: 'default', name: 'held' });
    const removed = (observedEpoch: number) => (instance: Instance) => ({
      ...instance,
      status: {
        ...instance.status,
        observedEpoch,
        conditions: setCondition(
          instance.status?.conditions,
          { type: 'ContainerRemoved', status: 'True', reason: 'Removed', message: '' },
          Date.now(),
        ),
      },
    });
    const key = { namespace: 'default', name: 'held' };
    await updateStatus(client, instances, key, removed(0));
    await apply('after');
    await untilPlaced('after');
    assert.ok((await get('held')).metadata.finalizers?.includes(containerFinalizer), 'another epoch says nothing');
    await updateStatus(client, instances, key, removed(1));
    await eventually(
      async () => {
        await assert.rejects(get('held'), isNotFound);
        assert.deepEqual(await reservationsOf('desk'), ['after@1']);
      },
      { timeoutMs: 5_000, what: 'the instance and its reservation to go' },
    );
  });

  it('moves the instances of a deleted provider, and collects its ledger', async () => {
    await addMachine('gone', 2);
    await start();
    await apply('survivor');
    await untilPlaced('survivor');
    await addMachine('there', 2);
    const { code, stderr } = await api.kubectl(['delete', 'provider', 'gone', '--wait']);
    assert.equal(code, 0, stderr);
    machines.silence('gone');
    await eventually(
      async () => {
        assert.equal((await get('survivor')).status?.assignment?.providerName, 'there');
        await assert.rejects(client.get(providerReservations, { name: 'gone' }), isNotFound);
      },
      { timeoutMs: 10_000, what: 'the move and the collection' },
    );
  });

  it('books changed requests of a bound instance as far as there is room', async () => {
    await addMachine('desk', 3);
    await start();
    await apply('grows');
    await untilPlaced('grows');
    const cpuOf = async (): Promise<number | undefined> => {
      const ledger = await client.get(providerReservations, { name: 'desk' });
      return askedRow(ledger.spec.reservations?.[0]?.amounts)[0];
    };
    const key = { namespace: 'default', name: 'grows' };
    await client.patch(instances, key, { spec: { resources: { requests: { cpu: '3' } } } });
    await eventually(async () => assert.equal(await cpuOf(), 3000), { timeoutMs: 5_000, what: 'the growth' });
    await client.patch(instances, key, { spec: { resources: { requests: { cpu: '4' } } } });
    await eventually(
      async () => {
        const { stdout } = await api.kubectl(['get', 'events', '-o', 'jsonpath={.items[*].message}']);
        assert.match(stdout, /desk has not enough cpu for the changed requests/);
      },
      { timeoutMs: 5_000, what: 'the warning' },
    );
    assert.equal(await cpuOf(), 3000);
  });
});

function scheduledOf(instance: Instance): { status: string; reason: string; message: string } | undefined {
  return instance.status?.conditions?.find(({ type }) => type === 'Scheduled');
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

/** A scheduler that dies or freezes after it reserved: its binds never reach the server. `late` gets them, to be sent afterwards. */
function withoutBinds(client: Client, late: (() => Promise<unknown>)[] = []): Client {
  const isBind = (object: unknown): boolean => (object as Instance).status?.assignment !== undefined;
  return new Proxy(client, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== 'function') return value;
      if (property !== 'replaceStatus') return value.bind(target) as unknown;
      return async (...args: Parameters<Client['replaceStatus']>) => {
        if (!isBind(args[1])) return target.replaceStatus(...args);
        late.push(() => target.replaceStatus(...args));
        throw new Error('the process is gone');
      };
    },
  });
}
