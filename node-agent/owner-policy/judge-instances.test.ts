import assert from 'node:assert/strict';
import fc from 'fast-check';
import { judgeInstances } from './judge-instances.ts';
import type { JudgedInstance } from './judge-instances.ts';

const mebibyte = 1024 ** 2;

function instance(
  uid: string,
  parts: Partial<Omit<JudgedInstance, 'resources'>> & { resources?: Partial<JudgedInstance['resources']> } = {},
): JudgedInstance {
  return {
    uid,
    namespace: 'toto',
    image: 'debian:12',
    isolation: 'Standard',
    createdAtMs: 0,
    runs: true,
    statesDisk: true,
    ...parts,
    resources: {
      cpuRequestMillicores: 1000,
      cpuLimitMillicores: 1000,
      memoryRequestBytes: 100 * mebibyte,
      memoryLimitBytes: 200 * mebibyte,
      diskRequestBytes: 100 * mebibyte,
      diskLimitBytes: 100 * mebibyte,
      pidsLimit: 512,
      ingressBitsPerSecond: undefined,
      egressBitsPerSecond: 10_000_000,
      gpus: 0,
      ...parts.resources,
    },
  };
}

describe('judgeInstances()', () => {
  it('lets everything run as it asks where there is no policy', () => {
    const one = instance('a');
    assert.deepEqual(judgeInstances(undefined, [one]), new Map([['a', { resources: one.resources, throttled: [] }]]));
  });

  it('names the rule that refuses', () => {
    const held = (policy: Parameters<typeof judgeInstances>[0], one = instance('a')): string | undefined =>
      judgeInstances(policy, [one]).get('a')?.held;
    assert.match(held({ open: false, reason: 'StopNow' }) ?? '', /\(stopNow\)/);
    assert.match(held({ open: false, reason: 'Unreadable' }) ?? '', /cannot be read/);
    const closed = { open: false, reason: 'OutsideHours', nextChange: '2026-01-01T00:00:00Z' };
    assert.match(held(closed) ?? '', /\(hours\); it opens at 2026-01-01T00:00:00Z/);
    assert.match(held({ open: true, members: { allow: ['ada'] } }) ?? '', /does not lend it to toto \(members\)/);
    assert.match(held({ open: true, members: { allow: ['toto'], deny: ['toto'] } }) ?? '', /members/);
    assert.match(held({ open: true, images: { allow: ['ubuntu'] } }) ?? '', /debian:12 \(images\)/);
    assert.match(held({ open: true, runtimes: ['runsc'] }) ?? '', /isolation Standard \(runtimes\)/);
    assert.match(held({ open: true, perInstance: { memory: '99Mi' } }) ?? '', /100Mi.*99Mi \(perInstance.memory\)/);
    assert.match(held({ open: true, perInstance: { disk: '99Mi' } }) ?? '', /\(perInstance.disk\)/);
    assert.equal(held({ open: true, members: { allow: ['toto'] }, images: { allow: ['debian'] }, runtimes: ['runc'] }), undefined);
  });

  it('throttles CPU, memory, processes, bandwidth and a disk that was not stated, and says so', () => {
    const perInstance = { cpu: '500m', memory: '150Mi', pids: 64, 'egress-bandwidth': '5M', 'ingress-bandwidth': '1M', disk: '50Mi' };
    const verdict = judgeInstances({ open: true, perInstance }, [instance('a', { statesDisk: false })]).get('a');
    assert.deepEqual(verdict, {
      resources: {
        cpuRequestMillicores: 500,
        cpuLimitMillicores: 500,
        memoryRequestBytes: 100 * mebibyte,
        memoryLimitBytes: 150 * mebibyte,
        diskRequestBytes: 100 * mebibyte,
        diskLimitBytes: 50 * mebibyte,
        pidsLimit: 64,
        ingressBitsPerSecond: 1_000_000,
        egressBitsPerSecond: 5_000_000,
        gpus: 0,
      },
      throttled: [
        'cpu 1000m to 500m (perInstance.cpu)',
        'memory 200Mi to 150Mi (perInstance.memory)',
        'disk 100Mi to 50Mi (perInstance.disk)',
        'pids 512 to 64 (perInstance.pids)',
        'egress-bandwidth 10000000 bit/s to 5000000 bit/s (perInstance.egress-bandwidth)',
      ],
    });
  });

  it('stops the newest first when all together are over the total', () => {
    const all = [instance('c', { createdAtMs: 3 }), instance('a', { createdAtMs: 1 }), instance('b', { createdAtMs: 2 })];
    const running = (cpu: string): string[] =>
      [...judgeInstances({ open: true, total: { cpu } }, all)].filter(([, { held }]) => held === undefined).map(([uid]) => uid);
    assert.deepEqual(running('3'), ['a', 'b', 'c']);
    assert.deepEqual(running('2500m'), ['a', 'b']);
    assert.deepEqual(running('1'), ['a']);
    assert.match(judgeInstances({ open: true, total: { cpu: '1' } }, all).get('b')?.held ?? '', /total.cpu: 1/);
  });

  it('counts the disk of what is stopped, and none of its memory', () => {
    const all = [instance('a', { runs: false }), instance('b', { createdAtMs: 1 })];
    assert.match(judgeInstances({ open: true, total: { disk: '150Mi' } }, all).get('b')?.held ?? '', /total.disk/);
    assert.equal(judgeInstances({ open: true, total: { memory: '150Mi' } }, all).get('b')?.held, undefined);
  });

  it('keeps within the total, never holds what fits, and does not care for the order of listing', () => {
    const listed = fc.uniqueArray(
      fc.record({ uid: fc.uuid(), createdAtMs: fc.nat({ max: 3 }), cpu: fc.integer({ min: 1, max: 3000 }), runs: fc.boolean() }),
      { selector: ({ uid }) => uid, maxLength: 12 },
    );
    fc.assert(
      fc.property(listed, fc.integer({ min: 0, max: 6000 }), (parts, most) => {
        const all = parts.map(({ cpu, ...rest }) =>
          instance(rest.uid, { ...rest, resources: { cpuRequestMillicores: cpu, cpuLimitMillicores: cpu } }),
        );
        const policy = { open: true, total: { cpu: `${most}m` } };
        const verdicts = judgeInstances(policy, all);
        const sorted = (map: ReadonlyMap<string, unknown>): unknown => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual(sorted(judgeInstances(policy, [...all].reverse())), sorted(verdicts));
        const runs = all.filter(({ uid, runs }) => runs && verdicts.get(uid)?.held === undefined);
        const cpuOf = ({ uid }: JudgedInstance): number => verdicts.get(uid)?.resources.cpuRequestMillicores ?? 0;
        const sum = (list: readonly JudgedInstance[]): number => list.reduce((total, one) => total + cpuOf(one), 0);
        assert.ok(sum(runs) <= most);
        for (const held of all.filter(({ uid }) => verdicts.get(uid)?.held !== undefined)) {
          const older = runs.filter(
            (one) => one.createdAtMs < held.createdAtMs || (one.createdAtMs === held.createdAtMs && one.uid < held.uid),
          );
          assert.ok(sum(older) + cpuOf(held) > most);
        }
      }),
      { numRuns: 500 },
    );
  });
});
