import assert from 'node:assert/strict';
import fc from 'fast-check';
import { firstReading, isNews, rateWindowMs, sumUsage, usageOf, withReading } from './usage-rate.ts';
import type { Reading, ReportedUsage } from './usage-rate.ts';

const mebibyte = 1024 * 1024;

function reading(atMs: number, cpuMs: number, sentBytes = 0): Reading {
  const network = { receivedPackets: 0, receiveErrors: 0, receivedDropped: 0, sentPackets: 0, sendErrors: 0, sentDropped: 0 };
  return {
    atMs,
    counters: {
      cpuNanos: cpuMs * 1e6,
      userNanos: 0,
      systemNanos: 0,
      memoryBytes: 9,
      workingSetBytes: 7,
      rssBytes: 0,
      cacheBytes: 0,
      networks: [{ interface: 'eth0', receivedBytes: 1, sentBytes, ...network }],
    },
  };
}

function running(cpuMillis: number, memoryBytes = 0, traffic = 0): ReportedUsage {
  return { running: { cpuMillis, memoryBytes, ingressBytes: traffic, egressBytes: 0, measuredAtMs: 0, windowMs: 1 } };
}

describe('usageOf()', () => {
  it('is the rate between the first reading and the last', () => {
    const usage = usageOf([reading(1_000, 0), reading(11_000, 9_000), reading(21_000, 10_000, 5)], 1_700_000_000_000);
    assert.deepEqual(usage, {
      cpuMillis: 500,
      memoryBytes: 7,
      ingressBytes: 1,
      egressBytes: 5,
      measuredAtMs: 1_700_000_000_000,
      windowMs: 20_000,
    });
  });

  it('says nothing of one reading', () => {
    assert.equal(usageOf([], 0), undefined);
    assert.equal(usageOf([reading(0, 1)], 0), undefined);
  });

  it('of a container that started just now counts from its start', () => {
    assert.equal(usageOf([...firstReading(100_000, 2_000), reading(100_000, 1_000)], 0)?.cpuMillis, 500);
    assert.deepEqual(firstReading(100_000, rateWindowMs + 1), []);
  });
});

it('withReading() keeps one window of readings, whatever comes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 50 }), (gaps) => {
      let readings: Reading[] = [];
      let atMs = 0;
      for (const gap of gaps) {
        atMs += gap;
        readings = withReading(readings, reading(atMs, 0));
        assert.ok(readings.every((each) => atMs - each.atMs <= rateWindowMs));
        assert.equal(readings.at(-1)?.atMs, atMs);
      }
    }),
  );
});

describe('isNews()', () => {
  const told = (usage: ReportedUsage): { usage: ReportedUsage; atMs: number } => ({ usage, atMs: 0 });

  it('is the first that is known, and the end and the start of a run at once', () => {
    assert.equal(isNews(undefined, {}, 0), false);
    assert.equal(isNews(undefined, running(0), 0), true);
    assert.equal(isNews(told(running(1)), {}, 1), true);
    assert.equal(isNews(told({ diskBytes: 1 }), running(0), 1), true);
  });

  it('is a leap after 15 s, no sooner', () => {
    assert.equal(isNews(told(running(100)), running(900), 14_999), false);
    assert.equal(isNews(told(running(100)), running(900), 15_000), true);
    assert.equal(isNews(told(running(0, 100 * mebibyte)), running(0, 120 * mebibyte), 15_000), true);
    assert.equal(isNews(told(running(1000)), running(1049), 59_999), false);
  });

  it('is what can be seen after a minute', () => {
    assert.equal(isNews(told(running(10)), running(11), 60_000), true);
    assert.equal(isNews(told(running(10)), running(10, 1000), 60_000), false);
    assert.equal(isNews(told(running(10)), running(10, 0, 100_000), 60_000), true);
  });

  it('of what idles comes every five minutes', () => {
    assert.equal(isNews(told(running(10)), running(10), 299_999), false);
    assert.equal(isNews(told(running(10)), running(10), 300_000), true);
    assert.equal(isNews(told({ diskBytes: 1 }), { diskBytes: 1 }, 3_000_000), false);
  });

  it('comes four times a minute at most, however wild the instance, while it runs', () => {
    const wild = fc.array(fc.record({ cpu: fc.nat(64_000), memory: fc.nat(1e9) }), { minLength: 30, maxLength: 30 });
    fc.assert(
      fc.property(wild, (rounds) => {
        let last: { usage: ReportedUsage; atMs: number } | undefined;
        const times: number[] = [];
        rounds.forEach(({ cpu, memory }, round) => {
          const [usage, atMs] = [running(cpu, memory), round * 10_000];
          if (!isNews(last, usage, atMs)) return;
          last = { usage, atMs };
          times.push(atMs);
        });
        for (const [index, atMs] of times.slice(1).entries()) assert.ok(atMs - (times[index] ?? 0) >= 15_000);
      }),
    );
  });
});

it('sumUsage() of nothing is nothing used', () => {
  assert.deepEqual(sumUsage([], 5), {
    cpuMillis: 0,
    memoryBytes: 0,
    ingressBytes: 0,
    egressBytes: 0,
    measuredAtMs: 5,
    windowMs: rateWindowMs,
  });
});
