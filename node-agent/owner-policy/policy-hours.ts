/** Whether a machine is open at a moment, and when that next changes: weekly windows of local time, over changes of the clock. Pure. */
import type { WeeklyWindow } from './policy.ts';

const minuteMs = 60_000;
const weekMinutes = 7 * 24 * 60;
/** Time zones change their offset at most a few times a week, and windows are at most some hundred. */
const mostSteps = 4 * 64 * 7;
const horizonMs = 15 * 24 * 60 * minuteMs;

export interface Opening {
  open: boolean;
  /** Milliseconds since the epoch; undefined when it stays as it is. */
  nextChangeMs?: number;
}

/**
 * What counts is what a clock on the wall shows: a window from 02:30 does not begin on a night on which that time is left out until the clock
 * is past it, and an hour that comes twice is in its windows twice. `timeZone` is a name of the IANA's, `Europe/Paris`.
 */
export function openingAt(windows: readonly WeeklyWindow[], nowMs: number, timeZone: string): Opening {
  const offsetMs = offsetsOf(timeZone);
  const isOpen = (atMs: number): boolean => {
    const minute = minuteOfWeek(atMs + offsetMs(atMs));
    return windows.some((window) => contains(window, minute));
  };
  const open = isOpen(nowMs);
  const edges = [...new Set(windows.flatMap(({ fromMinute, toMinute }) => [fromMinute, toMinute % weekMinutes]))];
  if (edges.length === 0) return { open };
  let atMs = nowMs;
  for (let step = 0; step < mostSteps && atMs - nowMs < horizonMs; step += 1) {
    atMs = nextStep(atMs, edges, offsetMs);
    if (isOpen(atMs) !== open) return { open, nextChangeMs: atMs };
  }
  return { open };
}

/** The next moment after `atMs` at which a window may begin or end, or at which the clock is changed. */
function nextStep(atMs: number, edges: readonly number[], offsetMs: (atMs: number) => number): number {
  const offset = offsetMs(atMs);
  const wallMs = atMs + offset;
  const waits = edges.map((edge) => {
    const waitMinutes = (edge - minuteOfWeek(wallMs) + weekMinutes) % weekMinutes || weekMinutes;
    return waitMinutes * minuteMs - modulo(wallMs, minuteMs);
  });
  const edgeMs = atMs + Math.min(...waits);
  return offsetMs(edgeMs) === offset ? edgeMs : changeBetween(atMs, edgeMs, offsetMs);
}

/** The first moment, to the second, at which the offset is another than at `fromMs`. */
function changeBetween(fromMs: number, toMs: number, offsetMs: (atMs: number) => number): number {
  const offset = offsetMs(fromMs);
  let [before, after] = [Math.floor(fromMs / 1000), Math.ceil(toMs / 1000)];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetMs(middle * 1000) === offset) before = middle;
    else after = middle;
  }
  return after * 1000;
}

function contains({ fromMinute, toMinute }: WeeklyWindow, minute: number): boolean {
  return fromMinute < toMinute ? minute >= fromMinute && minute < toMinute : minute >= fromMinute || minute < toMinute;
}

/** From the beginning of Monday; the epoch was a Thursday. */
function minuteOfWeek(wallMs: number): number {
  return modulo(Math.floor(wallMs / minuteMs) + 3 * 24 * 60, weekMinutes);
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** How far the wall clock is ahead of UTC, in milliseconds. */
function offsetsOf(timeZone: string): (atMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (atMs) => {
    const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(atMs / 1000) * 1000;
  };
}
