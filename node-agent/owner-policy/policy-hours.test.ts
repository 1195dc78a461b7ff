import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { machineTimeZone } from './machine-time-zone.ts';
import type { WeeklyWindow } from './policy.ts';
import { openingAt } from './policy-hours.ts';

const day = 24 * 60;
const sunday = 6 * day;
const at = (text: string): number => Date.parse(text);

function opening(windows: readonly WeeklyWindow[], text: string, timeZone: string): [boolean, string | undefined] {
  const { open, nextChangeMs } = openingAt(windows, at(text), timeZone);
  return [open, nextChangeMs === undefined ? undefined : new Date(nextChangeMs).toISOString()];
}

describe('openingAt()', () => {
  // Monday, 18:00 to 08:00 of Tuesday.
  const night = [{ fromMinute: 18 * 60, toMinute: day + 8 * 60 }];

  it('is by the local clock of the machine', () => {
    // 2026-06-01 is a Monday; Paris is two hours ahead in summer.
    assert.deepEqual(opening(night, '2026-06-01T15:59:59Z', 'Europe/Paris'), [false, '2026-06-01T16:00:00.000Z']);
    assert.deepEqual(opening(night, '2026-06-01T16:00:00Z', 'Europe/Paris'), [true, '2026-06-02T06:00:00.000Z']);
    assert.deepEqual(opening(night, '2026-06-01T16:00:00Z', 'America/New_York'), [false, '2026-06-01T22:00:00.000Z']);
    assert.deepEqual(opening(night, '2026-06-02T06:00:00Z', 'Europe/Paris'), [false, '2026-06-08T16:00:00.000Z']);
  });

  it('goes over the end of the week, and joins windows that touch', () => {
    const weekend = [
      { fromMinute: sunday, toMinute: 0 },
      { fromMinute: 0, toMinute: 6 * 60 },
    ];
    assert.deepEqual(opening(weekend, '2026-06-07T12:00:00Z', 'UTC'), [true, '2026-06-08T06:00:00.000Z']);
  });

  it('leaves out what the clock leaves out in spring', () => {
    // In Paris 02:00 becomes 03:00 on Sunday, 29 March 2026, at 01:00 UTC.
    const early = [{ fromMinute: sunday + 2 * 60 + 30, toMinute: sunday + 4 * 60 }];
    assert.deepEqual(opening(early, '2026-03-29T00:59:00Z', 'Europe/Paris'), [false, '2026-03-29T01:00:00.000Z']);
    assert.deepEqual(opening(early, '2026-03-29T01:00:00Z', 'Europe/Paris'), [true, '2026-03-29T02:00:00.000Z']);
    const skipped = [{ fromMinute: sunday + 2 * 60, toMinute: sunday + 3 * 60 }];
    assert.deepEqual(opening(skipped, '2026-03-29T00:00:00Z', 'Europe/Paris'), [false, '2026-04-05T00:00:00.000Z']);
  });

  it('has twice what the clock has twice in autumn', () => {
    // In Paris 03:00 becomes 02:00 on Sunday, 25 October 2026, at 01:00 UTC.
    const twice = [{ fromMinute: sunday + 2 * 60 + 30, toMinute: sunday + 2 * 60 + 45 }];
    assert.deepEqual(opening(twice, '2026-10-25T00:30:00Z', 'Europe/Paris'), [true, '2026-10-25T00:45:00.000Z']);
    assert.deepEqual(opening(twice, '2026-10-25T00:45:00Z', 'Europe/Paris'), [false, '2026-10-25T01:30:00.000Z']);
    assert.deepEqual(opening(twice, '2026-10-25T01:30:00Z', 'Europe/Paris'), [true, '2026-10-25T01:45:00.000Z']);
  });

  it('never changes where windows cover the week, or where there are none', () => {
    assert.deepEqual(opening([], '2026-06-01T00:00:00Z', 'UTC'), [false, undefined]);
    assert.deepEqual(opening([{ fromMinute: 0, toMinute: 0 }], '2026-06-01T00:00:00Z', 'UTC'), [true, undefined]);
  });

  it('finds the very minute that a walk minute by minute finds, over changes of the clock', () => {
    const zones = fc.constantFrom('UTC', 'Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu');
    const minute = fc.integer({ min: 0, max: 7 * day - 1 });
    const windows = fc.array(fc.record({ fromMinute: minute, toMinute: minute }), { minLength: 1, maxLength: 4 });
    const moments = fc.integer({ min: at('2026-03-01T00:00:00Z') / 60_000, max: at('2026-11-30T00:00:00Z') / 60_000 });
    fc.assert(
      fc.property(zones, windows, moments, (zone, list, minutes) => {
        const { open, nextChangeMs } = openingAt(list, minutes * 60_000, zone);
        const isOpen = (ms: number): boolean => openingAt(list, ms, zone).open;
        if (nextChangeMs === undefined) return;
        assert.notEqual(isOpen(nextChangeMs), open);
        assert.equal(isOpen(nextChangeMs - 1000), open);
        // Every quarter of an hour in between, which no clock change is shorter than.
        for (let ms = minutes * 60_000; ms < Math.min(nextChangeMs, minutes * 60_000 + 40 * 15 * 60_000); ms += 15 * 60_000) {
          assert.equal(isOpen(ms), open);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('machineTimeZone()', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-zone-'));
    await mkdir(join(root, 'etc'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('is where /etc/localtime leads', async () => {
    await symlink('/usr/share/zoneinfo/Europe/Paris', join(root, 'etc/localtime'));
    assert.equal(await machineTimeZone(root, undefined), 'Europe/Paris');
    assert.equal(await machineTimeZone(root, ':America/New_York'), 'America/New_York');
    assert.equal(await machineTimeZone(root, 'no such zone'), 'Europe/Paris');
  });

  it('is what /etc/timezone says where that is a plain file, and UTC at last', async () => {
    assert.equal(await machineTimeZone(root, undefined), 'UTC');
    await writeFile(join(root, 'etc/timezone'), 'Asia/Tokyo\n');
    assert.equal(await machineTimeZone(root, undefined), 'Asia/Tokyo');
  });
});
