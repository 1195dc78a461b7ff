import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../apiserver/access/write-file.ts';
import type { PoolPaths } from './pool-paths.ts';

/** What `potluck down` must know of a pool that it did not start, and `potluck up` of its last start. */
export interface Enrolment {
  providerName: string;
  providerUid: string;
  /** As given to `--engine`. */
  engine: string;
}

export async function readEnrolment(paths: PoolPaths): Promise<Enrolment | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(paths), 'utf8')) as Enrolment;
  } catch {
    // Without it, there is nothing enrolled; a damaged one is written anew at the next start.
    return undefined;
  }
}

export async function writeEnrolment(paths: PoolPaths, enrolment: Enrolment): Promise<void> {
  await writeFileAtomically(fileOf(paths), `${JSON.stringify(enrolment, null, 2)}\n`, 0o600);
}

function fileOf(paths: PoolPaths): string {
  return join(paths.agent, 'enrolment.json');
}
