/** Runs a program of the system to its end: `ip`, `nft`, `mount`. */
import { execFile } from 'node:child_process';

export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Longest that any of them takes; making a file system is the slowest. */
const timeoutMs = 60_000;

/**
 * Answers standard output.
 * @throws {CommandError} with the command and what it said when it fails, does not exist or takes too long.
 */
export async function runCommand(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024, env: { ...process.env, PATH: searchPath(), LC_ALL: 'C' } };
    const child = execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(new CommandError(`${command} ${args.join(' ')}: ${stderr.trim() === '' ? error.message : stderr.trim()}`, { cause: error }));
    });
    // The program may end without reading what it is given; its exit code tells.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

/** Answers whether the command ended well. */
export async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await runCommand(command, args);
    return true;
  } catch {
    return false;
  }
}

/** Debian keeps system programs where a user's PATH does not lead. */
export function searchPath(): string {
  return `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`;
}
