/** From counters to what is used now, and whether that is worth telling. Pure. */
import type { ContainerCounters } from './container-counters.ts';

export interface Usage {
  /** Thousandths of a logical processor, over the window. */
  cpuMillis: number;
  /** The working set. */
  memoryBytes: number;
  /** Received and sent since the container started. */
  ingressBytes: number;
  egressBytes: number;
  /** Milliseconds since the epoch. */
  measuredAtMs: number;
  /** What the rate was taken over. */
  windowMs: number;
}

/** What is said of an instance: usage while it runs, and its disk also when it does not. */
export interface ReportedUsage {
  running?: Usage;
  /** In its own layer; absent before it was measured. */
  diskBytes?: number;
}

export interface Reading {
  /** On a clock that nobody sets. */
  atMs: number;
  counters: ContainerCounters;
}

/** Readings that rates are taken over: long enough that a program that works in bursts does not look different each time. */
export const rateWindowMs = 30_000;

/** Undefined with fewer than two readings. They are of one run of a container, in order of time; the last is of `nowMs`. */
export function usageOf(readings: readonly Reading[], nowMs: number): Usage | undefined {
  const [first] = readings;
  const last = readings.at(-1);
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
  const windowMs = last.atMs - first.atMs;
  const usedNanos = Math.max(0, last.counters.cpuNanos - first.counters.cpuNanos);
  const sum = (pick: 'receivedBytes' | 'sentBytes'): number => last.counters.networks.reduce((bytes, each) => bytes + each[pick], 0);
  return {
    cpuMillis: Math.round(usedNanos / 1000 / windowMs),
    memoryBytes: last.counters.workingSetBytes,
    ingressBytes: sum('receivedBytes'),
    egressBytes: sum('sentBytes'),
    measuredAtMs: nowMs,
    windowMs,
  };
}

/** A container that started just now had used nothing then: so its first reading gives a rate already. */
export function firstReading(nowMs: number, ageMs: number): Reading[] {
  if (ageMs <= 0 || ageMs > rateWindowMs) return [];
  const none: ContainerCounters = {
    cpuNanos: 0,
    userNanos: 0,
    systemNanos: 0,
    memoryBytes: 0,
    workingSetBytes: 0,
    rssBytes: 0,
    cacheBytes: 0,
    networks: [],
  };
  return [{ atMs: nowMs - ageMs, counters: none }];
}

/** The readings to keep with a new one: those that the next rate may be taken over. */
export function withReading(readings: readonly Reading[], reading: Reading): Reading[] {
  return [...readings.filter(({ atMs }) => reading.atMs - atMs <= rateWindowMs), reading];
}

/** Of all containers together. */
export function sumUsage(all: readonly Usage[], nowMs: number): Usage {
  const sum = (pick: 'cpuMillis' | 'memoryBytes' | 'ingressBytes' | 'egressBytes'): number =>
    all.reduce((total, usage) => total + usage[pick], 0);
  return {
    cpuMillis: sum('cpuMillis'),
    memoryBytes: sum('memoryBytes'),
    ingressBytes: sum('ingressBytes'),
    egressBytes: sum('egressBytes'),
    measuredAtMs: nowMs,
    windowMs: all.length === 0 ? rateWindowMs : Math.max(...all.map(({ windowMs }) => windowMs)),
  };
}

/** A change that people should see soon is told this long after the last news; any other that can be seen at all, after a minute. */
const soonMs = 15_000;
const ordinaryMs = 60_000;
/** What did not change is told again after this long, to show that it was measured. */
const stillSoMs = 300_000;
const mebibyte = 1024 * 1024;

/**
 * Whether what is used now should replace what was told last, so that the API hears of each instance once a minute at most, sooner only of
 * a leap (a tenth and more than noise), and seldom of one that idles.
 */
export function isNews(told: { usage: ReportedUsage; atMs: number } | undefined, now: ReportedUsage, nowMs: number): boolean {
  if (told === undefined) return now.running !== undefined || now.diskBytes !== undefined;
  const [before, after] = [told.usage, now];
  if ((before.running === undefined) !== (after.running === undefined)) return true;
  if (before.diskBytes === undefined && after.diskBytes !== undefined) return true;
  const ageMs = nowMs - told.atMs;
  if (ageMs >= stillSoMs && after.running !== undefined) return true;
  const changes = [
    change(before.running?.cpuMillis, after.running?.cpuMillis, { visible: 1, noise: 50 }),
    change(before.running?.memoryBytes, after.running?.memoryBytes, { visible: mebibyte, noise: 16 * mebibyte }),
    change(before.diskBytes, after.diskBytes, { visible: mebibyte, noise: 16 * mebibyte }),
    change(traffic(before), traffic(after), { visible: 64 * 1024, noise: Infinity }),
  ];
  if (ageMs >= ordinaryMs) return changes.some((each) => each !== 'none');
  return ageMs >= soonMs && changes.includes('leap');
}

function traffic({ running }: ReportedUsage): number {
  return (running?.ingressBytes ?? 0) + (running?.egressBytes ?? 0);
}

function change(before = 0, after = 0, { visible, noise }: { visible: number; noise: number }): 'none' | 'visible' | 'leap' {
  const difference = Math.abs(after - before);
  if (difference >= noise && difference >= 0.1 * Math.max(before, after)) return 'leap';
  return difference >= visible ? 'visible' : 'none';
}
