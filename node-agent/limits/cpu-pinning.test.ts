import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CpuTopology } from '../inventory/cpu-topology.ts';
import { planCpus } from './cpu-pinning.ts';
import type { CpuDemand, CpuPlan } from './cpu-pinning.ts';
import { formatCpuSet, intersects, parseCpuSet } from './cpu-set.ts';

/** As the kernel numbers them on most Intel machines: siblings are half the count apart. */
function smt(cores: number): CpuTopology {
  return { cores: Array.from({ length: cores }, (_, core) => ({ package: 0, core, threads: [core, core + cores] })) };
}

function plain(cores: number): CpuTopology {
  return { cores: Array.from({ length: cores }, (_, core) => ({ package: 0, core, threads: [core] })) };
}

function demand(uid: string, requestMillis: number, current = '', limitMillis = requestMillis): CpuDemand {
  return { uid, requestMillis, limitMillis, current };
}

function assertSound(topology: CpuTopology, plan: CpuPlan, demands: readonly CpuDemand[]): void {
  const cpusOf = (uid: string): number[] => parseCpuSet(plan.cpusets.get(uid) ?? '');
  const all = topology.cores.flatMap(({ threads }) => threads);
  for (const { uid } of demands) assert.ok(cpusOf(uid).length > 0 && cpusOf(uid).every((cpu) => all.includes(cpu)));
  for (const { uid, requestMillis } of demands.filter((one) => plan.pinned.has(one.uid))) {
    const own = cpusOf(uid);
    assert.ok(own.length * 1000 >= requestMillis);
    assert.ok(!intersects(own, topology.cores[0]?.threads ?? []));
    for (const { threads } of topology.cores) assert.ok(!intersects(own, threads) || threads.every((thread) => own.includes(thread)));
    for (const other of demands) assert.ok(other.uid === uid || !intersects(own, cpusOf(other.uid)));
  }
}

describe('planCpus()', () => {
  const planned = (topology: CpuTopology, ...demands: CpuDemand[]): Record<string, string> =>
    Object.fromEntries(planCpus(topology, demands).cpusets);

  it('gives one core of two to a whole-core instance and keeps the other shared', () => {
    assert.deepEqual(planned(plain(2), demand('a', 1000), demand('b', 500)), { a: '1', b: '0' });
  });

  it('shares the last core with whoever comes too late', () => {
    assert.deepEqual(planned(plain(2), demand('a', 1000, '1'), demand('b', 1000)), { a: '1', b: '0' });
  });

  it('never pins on a machine of one core', () => {
    assert.deepEqual(planned(plain(1), demand('a', 1000)), { a: '0' });
  });

  it('gives whole cores with their siblings', () => {
    assert.deepEqual(planned(smt(4), demand('a', 2000), demand('b', 4000), demand('c', 300)), { a: '3,7', b: '1-2,5-6', c: '0,4' });
  });

  it('gives a whole core also where half of its threads would do, as long as the others have room', () => {
    assert.deepEqual(planned(smt(2), demand('a', 1000), demand('b', 2000)), { a: '1,3', b: '0,2' });
    const crowded = planCpus(smt(2), [demand('a', 1000), demand('b', 2500, '', 2600)]);
    assert.equal(crowded.pinned.size, 0);
  });

  it('pins no fraction, and nothing that may use more than it requests', () => {
    assert.deepEqual(planned(plain(4), demand('a', 1500), demand('b', 1000, '', 2000)), { a: '0-3', b: '0-3' });
  });

  it('leaves everyone in place when another comes or goes', () => {
    const topology = plain(8);
    assert.deepEqual(planned(topology, demand('a', 2000, '6-7'), demand('b', 1000, '5'), demand('0', 1000)), {
      a: '6-7',
      b: '5',
      '0': '4',
    });
    assert.deepEqual(planned(topology, demand('b', 1000, '5')), { b: '5' });
  });

  it('packs again when cores come free', () => {
    assert.deepEqual(planned(plain(2), demand('b', 1000, '0')), { b: '1' });
  });

  it('knows cores with and without siblings (performance and efficiency cores)', () => {
    const hybrid: CpuTopology = {
      cores: [
        { package: 0, core: 0, threads: [0, 1] },
        { package: 0, core: 4, threads: [2, 3] },
        { package: 0, core: 8, threads: [4] },
        { package: 0, core: 9, threads: [5] },
      ],
    };
    assert.deepEqual(planned(hybrid, demand('a', 1000), demand('b', 2000)), { a: '5', b: '2-3' });
  });

  it('never lets two share a pinned core, never gives the first core away, and never moves who has its own', () => {
    const topologies = fc.oneof(fc.integer({ min: 1, max: 12 }).map(plain), fc.integer({ min: 1, max: 8 }).map(smt));
    const demands = fc.array(fc.constantFrom(100, 500, 1000, 2000, 3000), { maxLength: 12 });
    fc.assert(
      fc.property(topologies, demands, demands, (topology, first, more) => {
        const named = (list: readonly number[], from: number): CpuDemand[] =>
          list.map((millis, index) => demand(`u${from + index}`, millis));
        const before = planCpus(topology, named(first, 0));
        const again = named(first, 0).map((one) => ({ ...one, current: before.cpusets.get(one.uid) ?? '' }));
        assertSound(topology, before, named(first, 0));
        const grown = [...again, ...named(more, first.length)];
        assertSound(topology, planCpus(topology, grown), grown);
        const after = planCpus(topology, grown);
        for (const uid of before.pinned) if (after.pinned.has(uid)) assert.equal(after.cpusets.get(uid), before.cpusets.get(uid));
        const stable = planCpus(topology, again);
        assert.deepEqual([...stable.cpusets].sort(), [...before.cpusets].sort());
      }),
      { numRuns: 300 },
    );
  });
});

describe('sets of processors', () => {
  it('are written as the kernel does, and read back', () => {
    assert.equal(formatCpuSet([3, 0, 1, 2, 8, 10, 11]), '0-3,8,10-11');
    assert.deepEqual(parseCpuSet('0-3,8,10-11\n'), [0, 1, 2, 3, 8, 10, 11]);
    assert.deepEqual(parseCpuSet(''), []);
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 200 })), (cpus) => {
        assert.deepEqual(
          parseCpuSet(formatCpuSet(cpus)),
          [...cpus].sort((a, b) => a - b),
        );
      }),
    );
  });
});
