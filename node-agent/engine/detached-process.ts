/**
 * A program that outlives us: started in its own session, found again by the next agent through its pid file, kept running while an agent
 * looks after it.
 */
import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { UserError } from '../../api/errors.ts';
import { openChildLog, readLastLines, rotateChildLog, sizeOf } from '../../runtime/child-log.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { findSurvivor, writePidFile } from '../../runtime/pid-file.ts';
import { endSurvivor } from '../../runtime/survivor.ts';
import { searchPath } from './run-command.ts';

export interface DetachedOptions {
  name: string;
  command: string;
  args: readonly string[];
  logFile: string;
  pidFile: string;
}

export class DetachedProcess {
  readonly #options: DetachedOptions;
  /** Where the output of the present run starts in the log. */
  #logOffset = 0;

  constructor(options: DetachedOptions) {
    this.#options = options;
  }

  async isRunning(): Promise<boolean> {
    const survivor = await findSurvivor(this.#options.pidFile);
    if (survivor.kind !== 'doubtful') return survivor.kind === 'ours';
    const what = `process ${survivor.pid} (${survivor.commandLine}) runs where the pool's ${this.#options.name} is expected`;
    throw new UserError('ALREADY_RUNNING', what, `Stop it, or remove ${this.#options.pidFile}, and start again.`);
  }

  /** Whether it runs in the mount namespace that is kept by this file. */
  async runsIn(mountNamespace: string): Promise<boolean> {
    const survivor = await findSurvivor(this.#options.pidFile);
    if (survivor.kind !== 'ours') return false;
    const [own, kept] = await Promise.all([stat(`/proc/${survivor.pid}/ns/mnt`), stat(mountNamespace)]);
    return own.ino === kept.ino;
  }

  /** Answers whether it had to be started. That it serves is for the caller to find out. */
  async ensureRunning(): Promise<boolean> {
    if (await this.isRunning()) return false;
    const { command, args, pidFile } = this.#options;
    const log = await openChildLog(this.#log());
    try {
      this.#logOffset = Math.max(0, await sizeOf(this.#options.logFile));
      const env = { ...process.env, PATH: searchPath() };
      const child = spawn(command, [...args], { stdio: ['ignore', log.fd, log.fd], detached: true, env, cwd: '/' });
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', (error) => {
          reject(
            new UserError('DOCKER_MISSING', `${command} cannot be run`, 'Install docker.io (or docker-ce) and util-linux.', {
              cause: error,
            }),
          );
        });
      });
      child.unref();
      if (child.pid !== undefined) await writePidFile(pidFile, child.pid, [command, ...args]);
      return true;
    } finally {
      await log.close();
    }
  }

  /** SIGTERM, then SIGKILL after `timeoutMs`; resolves when it is gone. */
  async stop(timeoutMs: number): Promise<void> {
    const { name, pidFile } = this.#options;
    const { signal } = new AbortController();
    // Its warning tells of a survivor, which is what this process is meant to be.
    const logger = silentLogger;
    await endSurvivor({ pidFile, name, stopSignal: 'SIGTERM', stopTimeoutMs: timeoutMs, logger, clock: systemClock, signal });
  }

  /** Of the present run. */
  async lastLines(): Promise<string[]> {
    return readLastLines(this.#options.logFile, 5, this.#logOffset);
  }

  async rotateLog(): Promise<void> {
    if (await rotateChildLog(this.#log())) this.#logOffset = 0;
  }

  #log(): { file: string; maxBytes: number; keep: number } {
    return { file: this.#options.logFile, maxBytes: 10_000_000, keep: 2 };
  }
}
