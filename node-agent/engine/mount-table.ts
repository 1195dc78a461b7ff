/** What is mounted where, from `/proc/self/mountinfo`. */
import { readFile } from 'node:fs/promises';

export interface Mount {
  target: string;
  fileSystem: string;
}

/** In the order of mounting. */
export async function readMounts(path = '/proc/self/mountinfo'): Promise<Mount[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    return { target: unescape(before.split(' ')[4] ?? ''), fileSystem: after.split(' ')[0] ?? '' };
  });
}

/** The kernel writes blanks and backslashes as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
