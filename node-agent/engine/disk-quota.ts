/** Whether an engine's storage can hold a container to a size. Pure. */

export interface StorageFacts {
  /** `btrfs`, `overlay2`… */
  driver: string;
  /** Of the file system below, as the engine names it: `xfs`, `extfs`. */
  backing: string | undefined;
  /** Where the engine keeps its data. */
  dataRoot: string;
  /** `/proc/self/mountinfo`. */
  mountInfo: string;
}

/** btrfs has them always; overlay2 only on an xfs that was mounted with quotas for projects. Docker refuses a size anywhere else. */
export function hasDiskQuota({ driver, backing, dataRoot, mountInfo }: StorageFacts): boolean {
  if (driver === 'btrfs' || driver === 'zfs') return true;
  return driver === 'overlay2' && backing === 'xfs' && /(^|,)(prjquota|pquota)(,|$)/.test(superOptionsOf(dataRoot, mountInfo));
}

/** Of the mount that has the path: the longest target that leads to it, the latest of equal ones. */
function superOptionsOf(path: string, mountInfo: string): string {
  let best = { length: -1, options: '' };
  for (const line of mountInfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const target = before.split(' ')[4] ?? '';
    const leadsThere = path === target || path.startsWith(target.endsWith('/') ? target : `${target}/`);
    if (target !== '' && leadsThere && target.length >= best.length) best = { length: target.length, options: after.split(' ')[2] ?? '' };
  }
  return best.options;
}
