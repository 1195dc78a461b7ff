/** Reads the owner's policy from its file, if the file is one that only root can have written. */
import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { mostPolicyBytes, parsePolicy } from './parse-policy.ts';
import type { OwnerPolicy } from './policy.ts';

export type PolicyReading =
  | { kind: 'absent' }
  | { kind: 'valid'; policy: OwnerPolicy; text: string }
  /** One line that says which file, where in it, and what is wrong. */
  | { kind: 'broken'; message: string };

const rootUid = 0;
const writableByOthers = 0o022;
const mostProblemsTold = 5;

/** Never throws: what is wrong is in the answer. */
export async function readPolicyFile(path: string): Promise<PolicyReading> {
  try {
    const complaint = (await complaintOfDirectory(dirname(path))) ?? (await complaintOfDirectory(dirname(await realpath(path))));
    if (complaint !== undefined) return { kind: 'broken', message: `${path}: ${complaint}` };
    // A pipe in its place would be waited for.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await readOpen(path, file);
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    return { kind: 'broken', message: `${path} cannot be read: ${message}` };
  }
}

/** Reads policy text, as that of a file that was good before. */
export function readPolicyText(path: string, text: string): PolicyReading {
  const parsed = parsePolicy(text);
  if ('policy' in parsed) return { kind: 'valid', policy: parsed.policy, text };
  const told = parsed.problems.slice(0, mostProblemsTold).map(({ line, path: where, message }) => {
    return `line ${line}${where === '' ? '' : `, ${where}`}: ${message}`;
  });
  const more = parsed.problems.length - told.length;
  return { kind: 'broken', message: `${path} ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}` };
}

async function readOpen(path: string, file: FileHandle): Promise<PolicyReading> {
  const stats = await file.stat();
  const { uid, mode, size } = stats;
  if (!stats.isFile()) return { kind: 'broken', message: `${path} is no file` };
  if (uid !== rootUid) return { kind: 'broken', message: `${path} must belong to root, not to user ${uid}: chown root ${path}` };
  if ((mode & writableByOthers) !== 0) return { kind: 'broken', message: `${path} must be writable by root only: chmod go-w ${path}` };
  if (size > mostPolicyBytes)
    return { kind: 'broken', message: `${path} has ${size} bytes, more than the ${mostPolicyBytes} that are read` };
  return readPolicyText(path, await file.readFile('utf8'));
}

/** Who may write the directory can put another file in its place, or take it away. */
async function complaintOfDirectory(directory: string): Promise<string | undefined> {
  const { uid, mode } = await stat(directory);
  if (uid !== rootUid) return `its directory ${directory} must belong to root, not to user ${uid}`;
  return (mode & writableByOthers) === 0 ? undefined : `its directory ${directory} must be writable by root only`;
}
