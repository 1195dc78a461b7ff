/**
 * What containers wrote to their disks, from the quota groups that btrfs keeps for each of them anyway: two short commands for all. The engine
 * would walk every file of each container and of its image.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../engine/run-command.ts';

/** Bytes by container id, of those that have a quota group. Undefined where the engine's disk keeps none. */
export async function readBtrfsUsage(dataRoot: string, containerIds: readonly string[]): Promise<Map<string, number> | undefined> {
  const texts = await Promise.all([
    runCommand('btrfs', ['subvolume', 'list', dataRoot]),
    runCommand('btrfs', ['qgroup', 'show', '--raw', dataRoot]),
  ]).catch(() => undefined);
  if (texts === undefined) return undefined;
  const idByName = parseSubvolumes(texts[0]);
  const exclusive = parseQuotaGroups(texts[1]);
  const found = new Map<string, number>();
  for (const containerId of containerIds) {
    const name = await mountName(dataRoot, containerId);
    const bytes = name === undefined ? undefined : exclusive.get(idByName.get(name) ?? '');
    if (bytes !== undefined) found.set(containerId, bytes);
  }
  return found;
}

/** `ID 257 gen 9 top level 5 path btrfs/subvolumes/<name>`: ids by name. */
export function parseSubvolumes(text: string): Map<string, string> {
  const lines = text.matchAll(/^ID (\d+) .* path (?:.*\/)?btrfs\/subvolumes\/(\S+)$/gm);
  return new Map([...lines].map(([, id = '', name = '']) => [name, id]));
}

/** `0/257 <referenced> <exclusive> …`: bytes that nothing else has, by id of the subvolume. */
export function parseQuotaGroups(text: string): Map<string, number> {
  const lines = text.matchAll(/^0\/(\d+)\s+\d+\s+(\d+)\b/gm);
  return new Map([...lines].map(([, id = '', bytes = '']) => [id, Number(bytes)]));
}

/** What the engine calls the layer that the container writes to. */
async function mountName(dataRoot: string, containerId: string): Promise<string | undefined> {
  const path = join(dataRoot, 'image/btrfs/layerdb/mounts', containerId, 'mount-id');
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}
