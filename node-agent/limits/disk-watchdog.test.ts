import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { floorBytes, inodeBound, judgeFloor, judgeWritten, nextLookMs } from './disk-watchdog.ts';
import type { FileSystemRoom } from './disk-watchdog.ts';
import { walkDisk } from './disk-walk.ts';

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

describe('judgeWritten()', () => {
  const bounds = { bytes: 100 * mebibyte, inodes: 1000 };
  const act = (bytes: number, inodes = 0): string | undefined => judgeWritten({ bytes: bytes * mebibyte, inodes }, bounds)?.act;

  it('warns at 80 %, pauses at 100 % and stops at 110 %, by bytes and by files', () => {
    assert.deepEqual(
      [79, 80, 99, 100, 109, 110, 500].map((each) => act(each)),
      [undefined, 'warn', 'warn', 'pause', 'pause', 'stop', 'stop'],
    );
    assert.deepEqual(
      [799, 800, 1000, 1100].map((each) => act(0, each)),
      [undefined, 'warn', 'pause', 'stop'],
    );
  });

  it('says how much of what', () => {
    assert.match(judgeWritten({ bytes: 90 * mebibyte, inodes: 1 }, bounds)?.message ?? '', /written 90 of the 100 MiB .*\(90 %\)/);
    assert.match(judgeWritten({ bytes: 1, inodes: 1050 }, bounds)?.message ?? '', /1050 of the 1000 files .* is paused: its disk is kept/);
  });

  it('holds nobody to a bound that is not there', () => {
    assert.equal(judgeWritten({ bytes: 1e15, inodes: 1e9 }, { bytes: 0, inodes: 0 }), undefined);
    assert.equal(inodeBound(0), 10_000);
    assert.equal(inodeBound(10 * gibibyte), 655_360);
  });
});

describe('judgeFloor()', () => {
  const room = (freeBytes: number, parts: Partial<FileSystemRoom> = {}): FileSystemRoom => ({
    path: '/',
    sizeBytes: 40 * gibibyte,
    freeBytes,
    inodes: 0,
    freeInodes: 0,
    ...parts,
  });
  const floor = 2 * gibibyte;

  it('keeps 5 % of the disk and at most 5 GiB free, or what the owner says', () => {
    assert.equal(floorBytes(40 * gibibyte, undefined), floor);
    assert.equal(floorBytes(1000 * gibibyte, undefined), 5 * gibibyte);
    assert.equal(floorBytes(40 * gibibyte, { share: 0.5 }), 20 * gibibyte);
    assert.equal(floorBytes(40 * gibibyte, { bytes: 7 }), 7);
  });

  it('pauses who writes, then everybody, then stops them', () => {
    const verdict = (free: number): string => {
      const { closed, reach, act } = judgeFloor([room(free)], undefined, false);
      return closed === undefined ? 'open' : `${act} ${reach}`;
    };
    assert.deepEqual(
      [1, 0.99, 0.79, 0.49].map((part) => verdict(floor * part)),
      ['open', 'pause growing', 'pause all', 'stop all'],
    );
  });

  it('opens again only well above the floor, and goes by the fullest', () => {
    assert.notEqual(judgeFloor([room(floor * 1.05)], undefined, true).closed, undefined);
    assert.equal(judgeFloor([room(floor * 1.1)], undefined, true).closed, undefined);
    assert.match(
      judgeFloor([room(floor * 9), room(floor / 4)], undefined, false).closed ?? '',
      /512 MiB is left, and its owner keeps 2048 MiB/,
    );
    assert.equal(judgeFloor([], undefined, false).closed, undefined);
  });

  it('minds files as well as bytes, where a file system has only so many', () => {
    const full = room(floor * 9, { inodes: 1000, freeInodes: 30 });
    assert.match(judgeFloor([full], undefined, false).closed ?? '', /30 files are left, and its owner keeps 50 files/);
  });
});

describe('nextLookMs()', () => {
  it('spends at most a twentieth of the time on looking, and a tenth near the limit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_000 }), fc.boolean(), (tookMs, nearLimit) => {
        const waitMs = nextLookMs(tookMs, { running: true, nearLimit });
        assert.ok(waitMs >= tookMs * (nearLimit ? 10 : 20) && waitMs <= 60_000 && waitMs >= 1_000);
      }),
    );
    assert.equal(nextLookMs(0, { running: false, nearLimit: true }), 60_000);
  });
});

describe('walkDisk()', () => {
  const anything = { bytes: Infinity, inodes: Infinity };
  const { signal } = new AbortController();
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-walk-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('counts each file once, no holes, and follows no link out', async () => {
    await mkdir(join(root, 'a/b'), { recursive: true });
    await writeFile(join(root, 'a/b/file'), Buffer.alloc(3 * mebibyte, 1));
    await link(join(root, 'a/b/file'), join(root, 'again'));
    await writeFile(join(root, 'sparse'), '');
    await truncate(join(root, 'sparse'), 10 * gibibyte);
    await symlink('/usr', join(root, 'usr'));
    const { bytes, inodes } = await walkDisk([root], anything, signal);
    assert.equal(inodes, 5);
    assert.ok(bytes >= 3 * mebibyte && bytes < 4 * mebibyte, String(bytes));
  });

  it('goes no further than it matters', async () => {
    await Promise.all(Array.from({ length: 500 }, (_, index) => writeFile(join(root, String(index)), '')));
    assert.equal((await walkDisk([root], { bytes: Infinity, inodes: 100 }, signal)).inodes, 101);
    await writeFile(join(root, 'large'), Buffer.alloc(mebibyte, 1));
    assert.ok((await walkDisk([root], { bytes: 4096, inodes: Infinity }, signal)).bytes >= 4096);
  });

  it('takes a directory that is gone for an empty one', async () => {
    assert.deepEqual(await walkDisk([join(root, 'none')], anything, signal), { bytes: 0, inodes: 0 });
  });
});
