/** The time zone of this machine, read anew each time: a laptop travels, while the process's own idea of it is from its start. */
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** `root` is `/`, or a tree for a test. Answers a name that Intl knows; UTC where the machine does not say. */
export async function machineTimeZone(root: string, environment: string | undefined): Promise<string> {
  const link = await readlink(join(root, 'etc/localtime')).catch(() => '');
  const file = await readFile(join(root, 'etc/timezone'), 'utf8').catch(() => '');
  const candidates = [environment?.replace(/^:/, '') ?? '', /zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(link)?.[1] ?? '', file.trim()];
  return candidates.find(isTimeZone) ?? 'UTC';
}

function isTimeZone(name: string): boolean {
  if (name === '') return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
