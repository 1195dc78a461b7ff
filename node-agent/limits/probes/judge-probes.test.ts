import assert from 'node:assert/strict';
import { enforcementStatus, judgeCpu, judgeDisk, judgeMemory, judgePids, judgeSandbox, judgeShaping, judgeWalls } from './judge-probes.ts';
import { parseLibraries, withParents } from './probe-image.ts';

const limits = { throttledPeriods: 14, cpuMillis: 100, memoryBytes: 1, pids: 1 };
const end = (exitCode: number, oomKilled = false): { exitCode: number; oomKilled: boolean } => ({ exitCode, oomKilled });

describe('what a probe shows', () => {
  it('is a CPU quota only where the kernel was seen to hold back', () => {
    assert.deepEqual(judgeCpu(101.2, limits), {
      level: 'Quota',
      evidence: 'a busy loop under 100m used 101m of CPU and was held back 14 times',
    });
    assert.equal(judgeCpu(990, limits).level, 'None');
    assert.equal(judgeCpu(60, { ...limits, throttledPeriods: 0 }).level, 'None', 'the machine was busy');
    assert.equal(judgeCpu(Number.NaN, undefined).level, 'None');
  });

  it('is a memory limit where the process was ended or refused', () => {
    assert.equal(judgeMemory(end(137, true)).level, 'Hard');
    assert.equal(judgeMemory(end(137)).level, 'Hard');
    assert.equal(judgeMemory(end(2)).level, 'Hard');
    assert.equal(judgeMemory(end(0)).level, 'None');
  });

  it('is a limit of processes where they did not all come up', () => {
    assert.equal(judgePids(end(1)).level, 'Hard');
    assert.equal(judgePids(end(0)).level, 'None');
  });

  it('is a disk quota where a write was refused, else the watchdog', () => {
    assert.equal(judgeDisk(end(1), 'btrfs').level, 'Quota');
    assert.equal(judgeDisk(end(0), 'btrfs').level, 'Watchdog');
    assert.deepEqual(judgeDisk(undefined, 'overlay2'), {
      level: 'Watchdog',
      evidence: 'overlay2 has no quotas here: the agent measures, pauses and stops',
    });
  });

  it('is a sandbox only where it ran and had a network', () => {
    assert.equal(judgeSandbox({ known: false }).level, 'None');
    assert.match(judgeSandbox({ known: true, error: 'no such device' }).evidence, /no such device/);
    assert.equal(judgeSandbox({ known: true, end: end(1) }).level, 'None');
    assert.equal(judgeSandbox({ known: true, end: end(0) }).level, 'Available');
  });

  it('is a limit of bandwidth where much was sent, and about as much as the limit went through', () => {
    const trial = (sent: number, passed: number): { sentBitsPerSecond: number; passedBitsPerSecond: number } => ({
      sentBitsPerSecond: sent * 1e6,
      passedBitsPerSecond: passed * 1e6,
    });
    assert.deepEqual(judgeShaping(trial(5, 1.04)), {
      level: 'Shaped',
      evidence: 'of 5.0 Mbit/s under a limit of 1.0 Mbit/s, 1.0 Mbit/s went through',
    });
    assert.equal(judgeShaping(trial(5, 4.9)).level, 'None');
    assert.equal(judgeShaping(trial(5, 0)).level, 'None', 'nothing went through at all');
    assert.equal(judgeShaping(trial(1, 1)).level, 'None', 'there was nothing to hold back');
    assert.equal(judgeShaping(undefined).level, 'None');
  });

  it('is a wall where nothing arrived, nobody answered, and it could have been seen', () => {
    const trial = { knocked: 5, answered: [], arrived: 0, countersCount: true };
    assert.equal(judgeWalls(trial).level, 'Walled');
    assert.match(judgeWalls({ ...trial, answered: ['169.254.169.254:80'] }).evidence, /169\.254\.169\.254:80 answered$/);
    for (const bad of [{ answered: ['a:22'] }, { arrived: 1 }, { countersCount: false }])
      assert.equal(judgeWalls({ ...trial, ...bad }).level, 'None');
    assert.equal(judgeWalls(undefined).level, 'None');
  });

  it('comes to one status, with evidence that the schema takes', () => {
    const none = { level: 'None', evidence: 'x'.repeat(2000) } as const;
    const status = enforcementStatus(
      {
        cpu: none,
        memory: none,
        disk: { level: 'Quota', evidence: 'e' },
        pids: none,
        ingress: none,
        egress: none,
        isolation: none,
        sandbox: none,
      },
      '2026-01-01T00:00:00Z',
    );
    assert.equal(status.disk, 'Quota');
    assert.equal(status.evidence?.['disk'], 'e');
    assert.equal(status.evidence['cpu']?.length, 512);
    assert.equal(status.probedAt, '2026-01-01T00:00:00Z');
  });
});

describe('parseLibraries()', () => {
  it('reads what ldd prints, with GNU’s library and with musl', () => {
    const gnu =
      '\tlinux-vdso.so.1 (0x00007f0543ed7000)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0543cc2000)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f0543ed9000)\n';
    assert.deepEqual(parseLibraries(gnu), ['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
    const musl = '\t/lib/ld-musl-x86_64.so.1 (0x7f0a)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f0a)\n';
    assert.deepEqual(parseLibraries(musl), ['/lib/ld-musl-x86_64.so.1', '/lib/ld-musl-x86_64.so.1']);
    assert.deepEqual(parseLibraries('\tstatically linked\n'), []);
  });
});

describe('withParents()', () => {
  it('names each directory once, before what is in it', () => {
    assert.deepEqual(withParents(['bin/sh', 'lib/a/x.so', 'lib/a/y.so']), ['bin', 'lib', 'lib/a', 'bin/sh', 'lib/a/x.so', 'lib/a/y.so']);
  });
});
