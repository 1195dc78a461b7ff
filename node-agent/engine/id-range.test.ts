import assert from 'node:assert/strict';
import fc from 'fast-check';
import { chooseIdRange, idsOfInstances, parseIdMap, parseIdRanges } from './id-range.ts';

const everything = parseIdMap('         0          0 4294967295\n');

describe('chooseIdRange()', () => {
  it('takes a range that no entry of the machine touches, where one is free', () => {
    const entries = fc.array(
      fc.record({ first: fc.integer({ min: 0x7000_0000, max: 0x7040_0000 }), count: fc.integer({ min: 1, max: 500_000 }) }),
    );
    fc.assert(
      fc.property(entries, fc.nat(), (taken, start) => {
        const range = chooseIdRange(taken, everything, start)!;
        assert.equal(range.count, idsOfInstances);
        for (const { first, count } of taken) assert.ok(range.first >= first + count || range.first + range.count <= first);
        // Ids are signed in some programs.
        assert.ok(range.first > 0x7000_0000 - 1 && range.first + range.count < 2 ** 31);
      }),
    );
  });

  it('gives pools of different homes different ranges', () => {
    assert.notDeepEqual(chooseIdRange([], everything, 1), chooseIdRange([], everything, 2));
  });

  it('finds nothing where the ids do not exist, as in a container', () => {
    assert.equal(chooseIdRange([], parseIdMap('0 100000 65536\n'), 0), undefined);
  });
});

describe('parseIdRanges()', () => {
  it('reads entries and passes over what is none', () => {
    assert.deepEqual(parseIdRanges('# ours\nalice:100000:65536\nbroken\n1000:165536:65536\n'), [
      { first: 100_000, count: 65_536 },
      { first: 165_536, count: 65_536 },
    ]);
  });
});
