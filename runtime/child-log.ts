/**
 * A child's output in a bounded file. The child writes to the file itself, so its output survives our death and costs us nothing; we copy
 * and truncate when it grew too long, which a file opened for appending allows.
 */
import { copyFile, mkdir, open, rename, rm, stat, truncate } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ChildLogOptions {
  file: string;
  /** The file is rotated beyond this; it may grow past it between two checks. */
  maxBytes: number;
  /** Older files that are kept, as `file.1` (the newest) to `file.N`. */
  keep: number;
}

/** Opens the file for appending, its folder too; the caller closes it. */
export async function openChildLog(options: ChildLogOptions): Promise<FileHandle> {
  await mkdir(dirname(options.file), { recursive: true });
  return open(options.file, 'a', 0o640);
}

/** Rotates the file if it is too long. Lines written between the copy and the truncation are lost. */
export async function rotateChildLog({ file, maxBytes, keep }: ChildLogOptions): Promise<boolean> {
  const size = await sizeOf(file);
  if (size <= maxBytes) return false;
  await rm(`${file}.${keep}`, { force: true });
  for (let index = keep - 1; index >= 1; index -= 1) {
    if ((await sizeOf(`${file}.${index}`)) >= 0) await rename(`${file}.${index}`, `${file}.${index + 1}`);
  }
  if (keep > 0) await copyFile(file, `${file}.1`);
  await truncate(file, 0);
  return true;
}

/** The last lines of the file, at most `lines` and 8 KiB; empty when there is none. `fromByte` leaves out what was there before. */
export async function readLastLines(file: string, lines: number, fromByte = 0): Promise<string[]> {
  const size = await sizeOf(file);
  if (size <= 0) return [];
  // A rotation in between makes the file shorter than it was.
  const from = Math.max(fromByte <= size ? fromByte : 0, size - 8192);
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer
      .toString('utf8', 0, bytesRead)
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-lines);
  } finally {
    await handle.close();
  }
}

/** -1 when there is no such file. */
export async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return -1;
  }
}
