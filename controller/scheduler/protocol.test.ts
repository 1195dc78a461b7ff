/** The placement protocol, step by step, with every interleaving that fast-check thinks of: schedulers and keepers that stop between any two steps. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { reservedAmounts } from '../../api/effective-resources.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { boundStatus, burntStatus, isFinished, nextEpoch, unboundStatus } from '../../api/placement-status.ts';
import type { InstanceStatus } from '../../api/placement-status.ts';
import { allocatableRow } from './amounts.ts';
import { freeHostnameNumber, formatHostname } from './hostname.ts';
import { release, reserve, sumOf } from './ledger.ts';
import type { LedgerSpec } from './ledger.ts';
import { planLedger } from './plan-ledger.ts';
import type { LedgerPlan } from './plan-ledger.ts';
import { makeInstance } from './scheduler-fixtures.ts';

const providerNames = ['one', 'two'] as const;
type ProviderName = (typeof providerNames)[number];
const allocatable = allocatableRow({ cpu: 1, memory: '64Gi' });
const expiryMs = 60;

interface Ledger {
  version: number;
  spec: LedgerSpec;
}

/** What a scheduler holds between two steps; a crash forgets it, a pause keeps it for as long as it likes. */
interface Held {
  instance: Instance;
  provider: ProviderName;
  hostnameNumber: number | undefined;
}

class World {
  nowMs = 1_000;
  readonly instances = new Map<string, Instance>();
  readonly ledgers = new Map<ProviderName, Ledger>();
  readonly schedulers: (Held | undefined)[] = [undefined, undefined];
  readonly keepers = new Map<ProviderName, Pick<LedgerPlan, 'dead' | 'finished'>>();
  readonly binds: string[] = [];
  #version = 1;

  constructor() {
    for (const name of providerNames) this.ledgers.set(name, { version: 1, spec: { providerUID: name, reservations: [] } });
    for (let index = 0; index < 2; index += 1) this.instances.set(`i${index}`, makeInstance('toto', `i${index}`));
  }

  /** Compare-and-set. */
  putStatus(read: Instance, status: InstanceStatus): boolean {
    const name = read.metadata.name!;
    const stored = this.instances.get(name);
    if (stored?.metadata.resourceVersion !== read.metadata.resourceVersion) return false;
    this.#version += 1;
    this.instances.set(name, { ...stored!, status, metadata: { ...stored!.metadata, resourceVersion: String(this.#version) } });
    return true;
  }

  putLedger(name: ProviderName, read: Ledger, spec: LedgerSpec): boolean {
    if (this.ledgers.get(name)!.version !== read.version) return false;
    this.ledgers.set(name, { version: read.version + 1, spec });
    return true;
  }

  /** Step 1: decide on what is read now. */
  look(scheduler: number, name: string, provider: ProviderName): void {
    const instance = this.instances.get(name);
    if (instance === undefined || instance.status?.assignment !== undefined || isFinished(instance)) return;
    this.schedulers[scheduler] = { instance, provider, hostnameNumber: undefined };
  }

  /** Step 2. */
  reserve(scheduler: number): void {
    const held = this.schedulers[scheduler];
    if (held === undefined) return;
    const { uid = '', namespace = '', name = '' } = held.instance.metadata;
    const wish = { instanceUid: uid, namespace, name, epoch: nextEpoch(held.instance), amounts: reservedAmounts(held.instance.spec) };
    const ledger = this.ledgers.get(held.provider)!;
    const { spec, result } = reserve(
      ledger.spec,
      allocatable,
      wish,
      (taken) => freeHostnameNumber(namespace, held.provider, taken),
      this.nowMs,
    );
    if (result.reserved && (spec === ledger.spec || this.putLedger(held.provider, ledger, spec)))
      held.hostnameNumber = result.hostnameNumber;
    else this.schedulers[scheduler] = undefined;
  }

  /** Step 3. */
  bind(scheduler: number): void {
    const held = this.schedulers[scheduler];
    this.schedulers[scheduler] = undefined;
    if (held?.hostnameNumber === undefined) return;
    const epoch = nextEpoch(held.instance);
    const hostname = formatHostname('toto', held.provider, held.hostnameNumber);
    const status = boundStatus(held.instance, { providerName: held.provider, providerUID: held.provider, epoch }, hostname, this.nowMs);
    if (this.putStatus(held.instance, status)) this.binds.push(`${held.instance.metadata.name!}@${epoch}`);
  }

  /** The keeper looks at a copy of the instances that may be old, and burns epochs. */
  burn(name: ProviderName, seen: ReadonlyMap<string, Instance>): void {
    const { spec } = this.ledgers.get(name)!;
    const plan = planLedger({ spec, instanceOf: (entry) => seen.get(entry.name), boundHere: [], nowMs: this.nowMs, expiryMs });
    const burnt = plan.expired.filter(({ entry, instance }) => this.putStatus(instance, burntStatus(instance, entry.epoch)));
    // What the copy does not have is asked for.
    const absent = plan.unknown.filter((entry) => !this.instances.has(entry.name));
    const dead = [...plan.dead, ...burnt.map(({ entry }) => entry), ...absent];
    this.keepers.set(name, { dead, finished: plan.finished });
  }

  /** Any time later it removes, from whatever the ledger is then; or never. */
  remove(name: ProviderName): void {
    const ledger = this.ledgers.get(name)!;
    const { dead, finished } = this.keepers.get(name) ?? { dead: [], finished: [] };
    this.putLedger(name, ledger, release(ledger.spec, dead, finished));
    this.keepers.delete(name);
  }

  change(name: string, statusOf: (instance: Instance) => InstanceStatus): void {
    const instance = this.instances.get(name);
    if (instance?.status?.assignment !== undefined) this.putStatus(instance, statusOf(instance));
  }

  check(): void {
    for (const name of providerNames) {
      const entries = this.ledgers.get(name)!.spec.reservations ?? [];
      assert.ok((sumOf(entries)[0] ?? 0) <= (allocatable[0] ?? 0), `${name} is overfilled`);
      assert.equal(new Set(entries.map(({ hostnameNumber }) => hostnameNumber)).size, entries.length, 'hostname numbers are unique');
      for (const [own, { status, metadata }] of this.instances) {
        if (status?.assignment?.providerName !== name) continue;
        const entry = entries.find(({ instanceUID }) => instanceUID === metadata.uid);
        assert.equal(entry?.epoch, status.assignment.epoch, `${own} is bound to ${name} without its reservation`);
        assert.equal(status.hostname, formatHostname('toto', name, entry.hostnameNumber));
      }
    }
    assert.equal(new Set(this.binds).size, this.binds.length, 'no epoch is bound twice');
  }
}

const instanceName = fc.integer({ min: 0, max: 1 }).map((index) => `i${index}`);
const scheduler = fc.integer({ min: 0, max: 1 });
const provider = fc.constantFrom(...providerNames);
type Step = (world: World, copies: ReadonlyMap<string, Instance>[]) => void;

function step<T>(
  weight: number,
  arbitrary: fc.Arbitrary<T>,
  run: (world: World, drawn: T, copies: ReadonlyMap<string, Instance>[]) => void,
): fc.WeightedArbitrary<Step> {
  return { weight, arbitrary: arbitrary.map((drawn) => (world, copies) => run(world, drawn, copies)) };
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  step(4, fc.tuple(scheduler, instanceName, provider), (world, drawn) => world.look(...drawn)),
  step(6, scheduler, (world, drawn) => world.reserve(drawn)),
  step(6, scheduler, (world, drawn) => world.bind(drawn)),
  step(4, fc.tuple(provider, fc.nat(4)), (world, [name, age], copies) => world.burn(name, copies.at(-1 - age) ?? world.instances)),
  step(4, provider, (world, drawn) => world.remove(drawn)),
  step(1, scheduler, (world, drawn) => (world.schedulers[drawn] = undefined)),
  step(2, fc.constantFrom(10, 100), (world, ms) => (world.nowMs += ms * 1000)),
  step(2, instanceName, (world, name) => world.change(name, (instance) => unboundStatus(instance, 'ProviderWithdrawn', '', world.nowMs))),
  step(1, fc.constant('i1'), (world, name) => world.change(name, ({ status }) => ({ ...status, phase: 'Succeeded' }))),
  step(1, fc.constant('i1'), (world, name) => world.instances.delete(name)),
);

describe('the placement protocol', () => {
  it('never overfills, never loses a bound instance’s reservation, never binds an epoch twice, whoever stops where', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 20, maxLength: 200 }), (sequence) => {
        const world = new World();
        const copies: ReadonlyMap<string, Instance>[] = [];
        for (const step of sequence) {
          copies.push(new Map(world.instances));
          step(world, copies);
          world.check();
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('lets every instance find a place in the end, if there is room', () => {
    fc.assert(
      fc.property(fc.array(steps, { maxLength: 60 }), (sequence) => {
        const world = new World();
        const copies: ReadonlyMap<string, Instance>[] = [];
        for (const step of sequence) {
          copies.push(new Map(world.instances));
          step(world, copies);
        }
        // A scheduler that slept may still reserve for an instance that is bound by now: the keeper's next round takes that away.
        for (let round = 0; round < 2; round += 1) {
          world.nowMs += 10_000_000;
          for (const name of providerNames) {
            world.burn(name, world.instances);
            world.remove(name);
          }
          for (const [name] of world.instances) {
            for (const target of providerNames) {
              world.look(0, name, target);
              world.reserve(0);
              world.bind(0);
            }
          }
        }
        const settled = [...world.instances.values()].filter((one) => one.status?.assignment !== undefined || isFinished(one)).length;
        assert.ok(settled >= Math.min(2, world.instances.size));
      }),
      { numRuns: 300 },
    );
  });
});
