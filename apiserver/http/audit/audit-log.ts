/** A file of lines that is put aside when it is full; the oldest of those put aside are removed. Only its owner can read it. */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Logger } from '../../../runtime/logger.ts';

export interface AuditLogOptions {
  path: string;
  /** Bytes at which the file is put aside. */
  maxBytes: number;
  /** Most files put aside; 0 keeps all of them. */
  maxBackups: number;
  logger: Logger;
  /** Milliseconds since the epoch. */
  nowMs: () => number;
}

/** Writes in line with the requests, as kube-apiserver does by default: nothing waits in memory, and nothing is lost when the process dies. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  #file: number;
  #bytes: number;
  #hasFailed = false;

  /** Throws when the file cannot be opened. */
  constructor(options: AuditLogOptions) {
    this.#options = options;
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
    this.#file = openSync(options.path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  /** A line that cannot be written is lost and said once, for a full disk must not stop the API. */
  write(event: object): void {
    try {
      const line = Buffer.from(`${JSON.stringify(event)}\n`);
      if (this.#bytes > 0 && this.#bytes + line.length > this.#options.maxBytes) this.#rotate();
      writeSync(this.#file, line);
      this.#bytes += line.length;
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) this.#options.logger.error('the audit log cannot be written; events are lost', { error });
      this.#hasFailed = true;
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #rotate(): void {
    const { path, maxBackups, nowMs } = this.#options;
    const extension = extname(path);
    const stem = basename(path, extension);
    const folder = dirname(path);
    const backups = readdirSync(folder).filter((name) => isBackup(name, stem, extension));
    let atMs = nowMs();
    while (backups.includes(backupName(stem, extension, atMs))) atMs += 1;
    const made = backupName(stem, extension, atMs);
    renameSync(path, join(folder, made));
    closeSync(this.#file);
    this.#file = openSync(path, 'a', 0o600);
    this.#bytes = 0;
    if (maxBackups === 0) return;
    const kept = [...backups, made].sort().slice(-maxBackups);
    for (const name of backups) if (!kept.includes(name)) rmSync(join(folder, name), { force: true });
  }
}

/** As kube-apiserver names them: `audit-2026-01-31T10-00-00.000.log`. In order of time. */
function backupName(stem: string, extension: string, ms: number): string {
  return `${stem}-${new Date(ms).toISOString().slice(0, -1).replaceAll(':', '-')}${extension}`;
}

function isBackup(name: string, stem: string, extension: string): boolean {
  if (!name.startsWith(`${stem}-`) || !name.endsWith(extension)) return false;
  return /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/u.test(name.slice(stem.length + 1, name.length - extension.length));
}
