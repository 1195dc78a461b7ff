import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mostForOneInstance } from '../../api/effective-resources.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { matchesLabelSelector } from '../../api/selector.ts';
import { askedRow } from './amounts.ts';
import { explain } from './explain.ts';
import { haversine, kmOfHaversine, pointAt } from './geography.ts';
import { hashText, mixHashes } from './hash.ts';
import { place } from './place.ts';
import { placementRequest } from './request.ts';
import { Snapshot } from './snapshot.ts';
import { makeInstance, makeLedger, makeProvider } from './scheduler-fixtures.ts';
import { tolerates } from './tolerates.ts';

type Spec = Instance['spec'];
interface World {
  provider: Provider;
  reserved: { namespace: string; cpu: number; memory: number }[];
}

const region = fc.constantFrom('eu-west', 'us-east');
const labelValue = fc.constantFrom('amd64', 'arm64');
const degrees = fc.integer({ min: -30, max: 30 });
const taint = fc.record({
  key: fc.constantFrom('gpu', 'slow'),
  effect: fc.constantFrom('NoSchedule' as const, 'PreferNoSchedule' as const),
});

const lists = (...all: string[]): fc.Arbitrary<string[]> => fc.constantFrom(...all.map((one) => [one]));

const worlds: fc.Arbitrary<World[]> = fc
  .array(
    fc.record({
      ready: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
      available: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
      owner: fc.constantFrom('alan', 'ada', 'grace'),
      labels: fc.record({ arch: labelValue }, { requiredKeys: [] }),
      taints: fc.oneof(
        { weight: 2, arbitrary: fc.constant<{ key: 'gpu' | 'slow'; effect: 'NoSchedule' | 'PreferNoSchedule' }[]>([]) },
        fc.array(taint, { maxLength: 2 }),
      ),
      location: fc.option(fc.record({ region, latitude: degrees, longitude: degrees }), { nil: undefined }),
      cpu: fc.integer({ min: 1, max: 8 }),
      memory: fc.integer({ min: 1, max: 8 }),
      policy: fc.option(
        fc.record(
          {
            open: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
            members: fc.record({ allow: lists('toto', 'titi'), deny: lists('toto', 'titi') }, { requiredKeys: [] }),
            images: fc.record({ allow: lists('debian', 'ghcr.io/**', '**') }, { requiredKeys: [] }),
            perInstance: fc.record({ cpu: fc.constantFrom('1500m', '3') }, { requiredKeys: [] }),
            runtimes: lists('runc', 'runsc'),
          },
          { requiredKeys: ['open'] },
        ),
        { nil: undefined },
      ),
      enforcement: fc.record(
        {
          disk: fc.constantFrom('Quota' as const, 'Watchdog' as const, 'None' as const),
          sandbox: fc.constantFrom('Available' as const, 'None' as const),
        },
        { requiredKeys: [] },
      ),
      maxCpu: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      reserved: fc.array(
        fc.record({
          namespace: fc.constantFrom('toto', 'titi'),
          cpu: fc.integer({ min: 1, max: 3 }),
          memory: fc.integer({ min: 1, max: 3 }),
        }),
        { maxLength: 4 },
      ),
    }),
    { maxLength: 12 },
  )
  .map((list) =>
    list.map(({ reserved, cpu, memory, maxCpu, ready, labels, policy, enforcement, ...spec }, index) => ({
      reserved,
      provider: makeProvider(`p${index}`, {
        ready,
        status: { enforcement, ...(policy && { ownerPolicy: policy }) },
        labels: labels,
        allocatable: { cpu, memory: `${memory}Gi`, disk: '10Gi' },
        spec: {
          owner: spec.owner,
          available: spec.available,
          taints: spec.taints,
          ...(spec.location && { location: spec.location }),
          ...(maxCpu !== undefined && { perInstanceMax: { cpu: maxCpu } }),
        },
      }),
    })),
  );

const specs: fc.Arbitrary<Spec> = fc
  .record({
    cpu: fc.integer({ min: 1, max: 3 }),
    memory: fc.integer({ min: 1, max: 3 }),
    image: fc.constantFrom('debian:12', 'ghcr.io/acme/tool'),
    isolation: fc.oneof({ weight: 4, arbitrary: fc.constant('Standard' as const) }, fc.constant('Sandboxed' as const)),
    placement: fc.record(
      {
        providerName: fc.oneof({ weight: 5, arbitrary: fc.constant('') }, fc.constantFrom('p0', 'p1')),
        region,
        providerSelector: fc.record({ matchLabels: fc.record({ arch: labelValue }) }),
        tolerations: fc.array(fc.record({ key: fc.constantFrom('gpu', 'slow'), operator: fc.constant('Exists' as const) }), {
          maxLength: 2,
        }),
        near: fc.record({ latitude: degrees, longitude: degrees, maxDistanceKm: fc.integer({ min: 500, max: 5000 }) }),
        requireEnforcement: fc.record({ disk: fc.constantFrom('Quota', 'Watchdog', 'None') }, { requiredKeys: [] }),
        spread: fc.record({ by: fc.constantFrom('owner' as const, 'provider' as const, 'region' as const) }),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ cpu, memory, placement, image, isolation }) => ({
    image,
    isolation,
    resources: { requests: { cpu, memory: `${memory}Gi` } },
    placement: placement,
  }));

function snapshotOf(world: World[]): Snapshot {
  const snapshot = new Snapshot();
  for (const { provider, reserved } of world) {
    snapshot.setLedger(
      makeLedger(
        provider,
        reserved.map(({ namespace, cpu, memory }) => ({ namespace, amounts: { cpu, memory: `${memory}Gi` } })),
      ),
    );
    snapshot.setProvider(provider);
  }
  return snapshot;
}

/** The rules of placement once more, on plain objects, as one would first write them. */
function placeNaively(world: World[], instance: Instance): { providerName: string } | { counts: number } {
  const { placement = {}, resources } = instance.spec;
  const [cpu, memoryGi] = [Number(resources.requests.cpu), Number.parseInt(String(resources.requests.memory), 10)];
  const used = ({ reserved }: World, key: 'cpu' | 'memory'): number => reserved.reduce((sum, entry) => sum + entry[key], 0);
  const has = ({ provider }: World, key: string): number => Number.parseInt(String(provider.status?.allocatable?.[key]), 10);
  const km = ({ provider }: World): number => {
    const { latitude = Number.NaN, longitude = Number.NaN } = provider.spec.location ?? {};
    const a = pointAt(latitude, longitude);
    const b = pointAt(placement.near!.latitude, placement.near!.longitude);
    return kmOfHaversine(haversine(a.x - b.x, a.y - b.y, a.z - b.z));
  };
  const untolerated = ({ provider }: World, effect: string): number =>
    (provider.spec.taints ?? []).filter((t) => t.effect === effect && !(placement.tolerations ?? []).some((one) => tolerates(one, t)))
      .length;
  const group = ({ provider }: World): string =>
    ({ owner: provider.spec.owner, provider: provider.metadata.name!, region: provider.spec.location?.region ?? '' })[placement.spread!.by];
  const mine = (entry: World): number => entry.reserved.filter(({ namespace }) => namespace === instance.metadata.namespace).length;
  const cost = (entry: World): number => {
    let sum = 1_000_000 * untolerated(entry, 'PreferNoSchedule');
    if (placement.spread)
      sum += 100 * world.filter((other) => group(other) === group(entry)).reduce((count, other) => count + mine(other), 0);
    if (placement.near) sum += 2 * (km(entry) / placement.near.maxDistanceKm);
    return sum + Math.max((used(entry, 'cpu') + cpu) / has(entry, 'cpu'), (used(entry, 'memory') + memoryGi) / has(entry, 'memory'));
  };
  const candidates = world
    .filter(({ provider }) => (placement.providerName ?? '') === '' || provider.metadata.name === placement.providerName)
    .filter(({ provider }) => provider.spec.available)
    .filter(({ provider }) => provider.status?.conditions?.[0]?.status === 'True')
    .filter(({ provider }) => policyAllows(provider, instance))
    .filter(({ provider: { status } }) => {
      const has = ['None', 'Watchdog', 'Quota'].indexOf(status?.enforcement?.disk ?? 'None');
      const sandboxed = instance.spec.isolation !== 'Sandboxed' || status?.enforcement?.sandbox === 'Available';
      return sandboxed && has >= ['None', 'Watchdog', 'Quota'].indexOf(placement.requireEnforcement?.['disk'] ?? 'None');
    })
    .filter(({ provider }) => matchesLabelSelector(placement.providerSelector ?? {}, provider.metadata.labels))
    .filter((entry) => untolerated(entry, 'NoSchedule') === 0)
    .filter(({ provider }) => placement.region === undefined || provider.spec.location?.region === placement.region)
    .filter((entry) => placement.near === undefined || km(entry) <= placement.near.maxDistanceKm)
    .filter((entry) => used(entry, 'cpu') + cpu <= has(entry, 'cpu') && used(entry, 'memory') + memoryGi <= has(entry, 'memory'))
    .filter(({ provider }) => cpu * 1000 <= (mostForOneInstance(provider.spec, 'cpu') ?? Infinity));
  if (candidates.length === 0) return { counts: world.length };
  const tie = ({ provider }: World): number => mixHashes(hashText(instance.metadata.uid!), hashText(provider.metadata.uid!));
  const [best] = candidates.map((entry) => ({ entry, cost: cost(entry) })).sort((a, b) => a.cost - b.cost || tie(a.entry) - tie(b.entry));
  return { providerName: best!.entry.provider.metadata.name! };
}

function policyAllows(provider: Provider, { metadata, spec }: Instance): boolean {
  const policy = provider.status?.ownerPolicy;
  if (policy === undefined) return true;
  const { open, members, images, runtimes = [runtimeOf(spec)], perInstance } = policy;
  const member = metadata.namespace!;
  const isImage = spec.image === 'debian:12' ? 'debian' : 'ghcr.io/**';
  const most = perInstance?.['cpu'] === '1500m' ? 1.5 : 3;
  return [
    open,
    (members?.deny ?? []).every((name) => name !== member),
    (members?.allow ?? [member]).includes(member),
    (images?.allow ?? ['**']).some((pattern) => pattern === '**' || pattern === isImage),
    runtimes.includes(runtimeOf(spec)),
    Number(spec.resources.requests.cpu) <= most,
  ].every(Boolean);
}

function runtimeOf({ isolation }: Spec): string {
  return isolation === 'Sandboxed' ? 'runsc' : 'runc';
}

describe('place()', () => {
  it('chooses exactly what a naive filter and sort chooses, or counts every provider once', () => {
    fc.assert(
      fc.property(worlds, specs, fc.uuid(), (world, spec, uid) => {
        const instance = makeInstance('toto', 'wordcount', { uid, spec });
        const result = place(snapshotOf(world), placementRequest(instance));
        const expected = placeNaively(world, instance);
        if (result.placed) assert.deepEqual({ providerName: result.providerName }, expected);
        else assert.deepEqual({ counts: result.rejections.reduce((sum, { count }) => sum + count, 0) }, expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('answers the same in whatever order providers became known, and after changes of changes', () => {
    fc.assert(
      fc.property(worlds, specs, fc.uuid(), (world, spec, uid) => {
        const request = placementRequest(makeInstance('toto', 'wordcount', { uid, spec }));
        const churned = new Snapshot();
        churned.setProvider(makeProvider('leaves'));
        churned.setLedger(makeLedger(makeProvider('leaves'), [{ namespace: 'toto', amounts: { cpu: 1 } }]));
        for (const { provider, reserved } of [...world].reverse()) {
          churned.setProvider({ ...provider, spec: { ...provider.spec, available: false } });
          churned.setLedger({ ...makeLedger(provider, [{ namespace: 'titi', amounts: { cpu: 7 } }]) });
          churned.setProvider(provider);
          const ledger = makeLedger(
            provider,
            reserved.map(({ namespace, cpu, memory }) => ({ namespace, amounts: { cpu, memory: `${memory}Gi` } })),
          );
          churned.setLedger({ ...ledger, metadata: { ...ledger.metadata, resourceVersion: '2' } });
          churned.setLedger(makeLedger(provider, [{ namespace: 'titi', amounts: { cpu: 6 } }]));
        }
        churned.removeProvider('leaves');
        const strip = (result: ReturnType<typeof place>): unknown => (result.placed ? { ...result, slot: 0 } : result);
        assert.deepEqual(strip(place(churned, request)), strip(place(snapshotOf(world), request)));
      }),
      { numRuns: 300 },
    );
  });

  it('counts a place that is being reserved, and no longer when it is forgotten', () => {
    const provider = makeProvider('p0', { allocatable: { cpu: 2, memory: '8Gi' } });
    const snapshot = snapshotOf([{ provider, reserved: [] }]);
    const request = placementRequest(makeInstance('toto', 'second', { uid: 'second' }));
    snapshot.assume('p0', 'first', 'toto', askedRow({ cpu: 2 }));
    assert.equal(place(snapshot, request).placed, false);
    snapshot.forget('p0', 'first');
    assert.equal(place(snapshot, request).placed, true);
  });

  it('spreads the first choice of many equal instances over equal providers', () => {
    const world = Array.from({ length: 10 }, (_, index) => ({ provider: makeProvider(`p${index}`), reserved: [] }));
    const snapshot = snapshotOf(world);
    const chosen = new Map<string, number>();
    for (let index = 0; index < 1000; index += 1) {
      const result = place(snapshot, placementRequest(makeInstance('toto', 'same', { uid: `uid-${index}` })));
      assert.ok(result.placed);
      chosen.set(result.providerName, (chosen.get(result.providerName) ?? 0) + 1);
    }
    assert.equal(chosen.size, 10);
    assert.ok(Math.max(...chosen.values()) < 160, [...chosen.values()].join());
  });

  it('takes a PreferNoSchedule provider only where no other fits, whatever the other scores say', () => {
    const tainted = makeProvider('tainted', { spec: { taints: [{ key: 'slow', effect: 'PreferNoSchedule' }] } });
    const loaded = makeProvider('loaded', { allocatable: { cpu: 2, memory: '8Gi' } });
    const busy = { provider: loaded, reserved: [{ namespace: 'toto', cpu: 1, memory: 1 }] };
    const request = placementRequest(makeInstance('toto', 'a', { spec: { placement: { spread: { by: 'provider' } } } }));
    const both = place(snapshotOf([{ provider: tainted, reserved: [] }, busy]), request);
    assert.equal(both.placed && both.providerName, 'loaded');
    const one = place(snapshotOf([{ provider: tainted, reserved: [] }]), request);
    assert.equal(one.placed && one.providerName, 'tainted');
  });
});

describe('explain()', () => {
  it('says in one sentence, with counts, why nothing fits', () => {
    const far = { latitude: 40.7, longitude: -74, region: 'us-east' };
    const here = { latitude: 45.2, longitude: 5.7, region: 'eu-west' };
    const world = Array.from({ length: 12 }, (_, index) => ({
      provider: makeProvider(`p${index}`, {
        ready: index >= 2,
        allocatable: { cpu: 4, memory: index < 5 ? '8Gi' : '1Gi' },
        spec: { location: index < 5 ? far : here },
      }),
      reserved: [],
    }));
    const instance = makeInstance('toto', 'wordcount', { spec: { placement: { near: { ...here, maxDistanceKm: 300 } } } });
    instance.spec.resources.requests.memory = '2Gi';
    const result = place(snapshotOf(world), placementRequest(instance));
    assert.ok(!result.placed);
    assert.equal(explain(result), '0/12 providers fit: 7 not enough memory, 3 too far (over 300 km), 2 not ready');
  });

  it('says that there are no providers at all', () => {
    assert.equal(explain({ placed: false, providers: 0, rejections: [] }), '0/0 providers fit: the pool has no providers');
  });

  it('says what owners do not allow and what machines do not enforce, with counts', () => {
    const policies = [
      { open: false, reason: 'StopNow' },
      { open: true, members: { allow: ['ada'] } },
      { open: true, images: { deny: ['debian'] } },
    ];
    const world = policies.map((ownerPolicy, index) => ({
      provider: makeProvider(`p${index}`, { status: { ownerPolicy } }),
      reserved: [],
    }));
    world.push({
      provider: makeProvider('p3', { status: { ownerPolicy: { open: true }, enforcement: { disk: 'Watchdog' } } }),
      reserved: [],
    });
    const instance = makeInstance('toto', 'a', { spec: { placement: { requireEnforcement: { disk: 'Quota' } } } });
    const result = place(snapshotOf(world), placementRequest(instance));
    assert.ok(!result.placed);
    assert.equal(
      explain(result),
      '0/4 providers fit: 1 closed now by their owners, 1 not lent to toto by their owners, 1 not allowed the image by their owners, 1 without disk Quota',
    );
  });

  it('looks again when the policy of an owner or what a machine enforces changes, and not for when it was tried', () => {
    const snapshot = new Snapshot();
    assert.ok(snapshot.setProvider(makeProvider('p0', { status: { ownerPolicy: { open: false } } })));
    assert.ok(snapshot.setProvider(makeProvider('p0', { status: { ownerPolicy: { open: true } } })));
    assert.ok(snapshot.setProvider(makeProvider('p0', { status: { ownerPolicy: { open: true }, enforcement: { disk: 'Quota' } } })));
    const later = {
      ownerPolicy: { open: true, nextChange: '2026-01-01T00:00:00Z' },
      enforcement: { disk: 'Quota' as const, probedAt: '2026-01-01T00:00:00Z' },
    };
    assert.ok(!snapshot.setProvider(makeProvider('p0', { status: later })));
  });

  it('names the provider that an instance is pinned to', () => {
    const instance = makeInstance('toto', 'a', { spec: { placement: { providerName: 'gone' } } });
    const result = place(snapshotOf([{ provider: makeProvider('p0'), reserved: [] }]), placementRequest(instance));
    assert.ok(!result.placed);
    assert.equal(explain(result), '0/1 providers fit: 1 not the provider that it is pinned to (gone)');
  });

  it('tells a provider that allows too little per instance from one that is full', () => {
    const modest = makeProvider('modest', { spec: { perInstanceMax: { cpu: '500m' } } });
    const full = makeProvider('full', { allocatable: { cpu: 1, memory: '8Gi' } });
    const world = [
      { provider: modest, reserved: [] },
      { provider: full, reserved: [{ namespace: 'toto', cpu: 1, memory: 1 }] },
    ];
    const result = place(snapshotOf(world), placementRequest(makeInstance('toto', 'a')));
    assert.ok(!result.placed);
    assert.equal(explain(result), '0/2 providers fit: 1 not enough cpu, 1 not allowing one instance that much cpu');
  });
});
