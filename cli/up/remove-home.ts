import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** All that Potluck ever makes under its home; what else is there is somebody else's. */
const ours = ['kubeconfig', 'pki', 'etcd', 'agent', 'engine', 'images', 'logs', 'run', 'toolbox'];

/** Removes the pool's files, and the home itself if nothing else is in it. Answers what it removed. */
export async function removeHome({ home }: { home: string }, names: readonly string[] = ours): Promise<string[]> {
  const removed = names.map((name) => join(home, name)).filter((path) => existsSync(path));
  for (const path of removed) await rm(path, { recursive: true, force: true });
  if (existsSync(home) && (await readdir(home)).length === 0) {
    await rmdir(home);
    return removed.length === 0 ? [] : [home];
  }
  return removed;
}
