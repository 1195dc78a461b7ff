/** What is written below a directory, counted file by file and no further than it matters. */
import { lstatSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { WrittenToDisk } from './disk-watchdog.ts';

/** Files that are looked at before others get their turn: a few milliseconds' worth. */
const atOnce = 256;
const blockBytes = 512;

/**
 * Stops counting when either bound is passed: how much more there is does not matter. Links are not followed, files with several names count once,
 * and holes in files do not count. What vanishes meanwhile is left out.
 */
export async function walkDisk(roots: readonly string[], upTo: WrittenToDisk, signal: AbortSignal): Promise<WrittenToDisk> {
  const sum = { bytes: 0, inodes: 0 };
  const linked = new Set<string>();
  const pending = [...roots];
  let sinceTurn = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    signal.throwIfAborted();
    const entries = await opendir(directory).catch(() => undefined);
    if (entries === undefined) continue;
    for await (const entry of entries) {
      const path = join(directory, entry.name);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined || isSeen(stats, linked)) continue;
      sum.bytes += stats.blocks * blockBytes;
      sum.inodes += 1;
      if (stats.isDirectory()) pending.push(path);
      if (sum.bytes > upTo.bytes || sum.inodes > upTo.inodes) return sum;
      sinceTurn += 1;
      if (sinceTurn % atOnce === 0) await turn();
    }
  }
  return sum;
}

/** A directory has a name for each of its children, and only one of its own. */
function isSeen(stats: Stats, linked: Set<string>): boolean {
  if (stats.nlink < 2 || stats.isDirectory()) return false;
  const key = `${stats.dev}:${stats.ino}`;
  if (linked.has(key)) return true;
  linked.add(key);
  return false;
}
