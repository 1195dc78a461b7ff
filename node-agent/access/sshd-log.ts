/** Reads what sshd says on standard error. Pure. */
import { createHash } from 'node:crypto';

export interface Accepted {
  /** The account, in the instance. */
  login: string;
  /** `SHA256:…`. */
  fingerprint: string;
}

/** Of sshd's line on who got in; undefined for any other. */
export function parseAccepted(line: string): Accepted | undefined {
  const match = /^Accepted publickey for (\S+) from .* ssh2: \S+ (SHA256:[A-Za-z0-9+/]+)\r?$/.exec(line);
  return match === null ? undefined : { login: match[1] ?? '', fingerprint: match[2] ?? '' };
}

/** Of `type base64`. */
export function fingerprintOf(key: string): string {
  const blob = Buffer.from(key.split(' ')[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

const longestLine = 256 * 1024;

/** Cuts a stream of bytes into lines, each bounded. */
export class LogLines {
  #rest = '';
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString('utf8')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, longestLine);
    for (const line of lines) this.#onLine(line);
  }
}
