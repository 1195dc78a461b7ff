import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Debian's packages ask this program before they start a service; 101 means no. See invoke-rc.d(8). */
const policyFile = '/usr/sbin/policy-rc.d';
const mark = '# Put here by Potluck while it installs packages';

/**
 * Keeps packages from starting services until `restore` is called. A policy of the machine's own that denies already is left alone; another
 * one is put aside and comes back. What a run left that was killed is cleaned up by the next.
 *
 * @param {string} [file]
 * @returns {{ restore: () => void }}
 */
export function denyServiceStarts(file = policyFile) {
  const aside = `${file}.before-potluck`;
  const restore = () => {
    if (existsSync(file) && readFileSync(file, 'utf8').includes(mark)) rmSync(file, { force: true });
    if (existsSync(aside)) renameSync(aside, file);
  };
  restore();
  if (existsSync(file)) {
    if (denies(file)) return { restore: () => undefined };
    renameSync(file, aside);
  }
  writeFileSync(file, `#!/bin/sh\n${mark}, so that none of them starts a service.\nexit 101\n`);
  chmodSync(file, 0o755);
  return { restore };
}

/** @param {string} file */
function denies(file) {
  return spawnSync(file, ['docker', 'start'], { stdio: 'ignore', timeout: 5000 }).status === 101;
}
