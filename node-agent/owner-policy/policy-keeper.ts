/**
 * Keeps the owner's policy as the file says now. A file that is broken changes nothing: the last good one goes on counting, over restarts of
 * the agent as well. Hours are looked at when they next change, and now and then besides, since clocks and time zones change too.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { watch } from 'chokidar';
import type { FSWatcher } from 'chokidar';
import type { OwnerPolicyStatus } from '../../api/owner-policy.ts';
import { parseTime } from '../../api/time.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { machineTimeZone } from './machine-time-zone.ts';
import type { OwnerPolicy } from './policy.ts';
import { unboundedPolicy } from './policy.ts';
import { closedStatus, policyStatus } from './policy-status.ts';
import { readPolicyFile, readPolicyText } from './read-policy-file.ts';
import type { PolicyReading } from './read-policy-file.ts';

export const defaultOwnerPolicyPath = '/etc/potluck/owner-policy.yaml';

/** What counts now. */
export interface CurrentPolicy {
  policy: OwnerPolicy;
  /** Undefined where there is no file. */
  status: OwnerPolicyStatus | undefined;
  file: { kind: 'absent' | 'valid' } | { kind: 'broken'; message: string };
}

export interface PolicyKeeperOptions {
  path: string;
  /** Where the last good text is kept, for a start with a broken file. */
  lastGoodPath: string;
  logger: Logger;
  clock?: Clock;
  timeZone?: () => Promise<string>;
}

/** For what the watcher does not tell: file systems without events, links that lead elsewhere, directories made later. */
const lookIntervalMs = 2_000;
/** An editor that saves by renaming leaves no file for a moment. */
const settleMs = 150;
const watchReadyMs = 1_000;

export class PolicyKeeper {
  readonly #options: PolicyKeeperOptions;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #current: CurrentPolicy = { policy: unboundedPolicy, status: undefined, file: { kind: 'absent' } };
  #good: { policy: OwnerPolicy; text: string } | undefined;
  #watcher: FSWatcher | undefined;
  #cancelTimer: () => void = () => undefined;
  #looking: Promise<void> = Promise.resolve();
  #isLookDue = false;
  #isStopped = false;

  constructor(options: PolicyKeeperOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Resolves when the file was read once. */
  async start(): Promise<void> {
    await this.#readLastGood();
    await this.#lookAgain();
    // The directory, since what is renamed over a file that is watched is not seen.
    this.#watcher = watch(dirname(this.#options.path), { persistent: false, ignoreInitial: true, depth: 0 });
    this.#watcher.on('all', () => void this.#lookAgain());
    // Owner and mode, of which `all` does not tell.
    this.#watcher.on('raw', () => void this.#lookAgain());
    this.#watcher.on('error', (error) => this.#options.logger.debug('the owner policy cannot be watched and is read every 2 s', { error }));
    const ready = new Promise<void>((resolve) => this.#watcher?.once('ready', resolve));
    await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, watchReadyMs))]);
    // What changed while the watch was set up.
    await this.#lookAgain();
    this.#setTimer();
  }

  current(): CurrentPolicy {
    return this.#current;
  }

  /** Called after what counts has become another. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer();
    await this.#watcher?.close();
    await this.#looking;
  }

  /** One after the other; what comes while a look is due is seen by that one. */
  #lookAgain(): Promise<void> {
    if (this.#isStopped || this.#isLookDue) return this.#looking;
    this.#isLookDue = true;
    this.#looking = this.#looking.then(async () => {
      this.#isLookDue = false;
      await this.#look().catch((error: unknown) => this.#options.logger.warn('the owner policy cannot be kept', { error }));
    });
    return this.#looking;
  }

  #setTimer(): void {
    const nextMs = parseTime(this.#current.status?.nextChange) ?? Infinity;
    const waitMs = Math.min(lookIntervalMs, Math.max(10, nextMs - this.#clock.nowMs()));
    this.#cancelTimer = this.#clock.setTimer(
      () => {
        void this.#lookAgain();
        if (!this.#isStopped) this.#setTimer();
      },
      waitMs,
      { background: true },
    );
  }

  async #look(): Promise<void> {
    const reading = await this.#read();
    if (this.#isStopped) return;
    if (reading.kind === 'valid' && reading.text !== this.#good?.text) await this.#keepGood(reading);
    if (reading.kind === 'absent' && this.#good !== undefined) await this.#forgetGood();
    const before = JSON.stringify(this.#current);
    this.#current = await this.#currentFrom(reading);
    if (JSON.stringify(this.#current) === before) return;
    this.#tell(reading);
    for (const listener of this.#listeners) listener();
  }

  /** A file that is gone is looked for once more: an editor may be putting a new one in its place. */
  async #read(): Promise<PolicyReading> {
    const { path } = this.#options;
    const reading = await readPolicyFile(path);
    if (reading.kind !== 'absent' || this.#good === undefined) return reading;
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    return readPolicyFile(path);
  }

  async #currentFrom(reading: PolicyReading): Promise<CurrentPolicy> {
    const file = reading.kind === 'broken' ? { kind: reading.kind, message: reading.message } : { kind: reading.kind };
    if (reading.kind === 'absent') return { policy: unboundedPolicy, status: undefined, file };
    const policy = this.#good?.policy;
    if (policy === undefined) return { policy: unboundedPolicy, status: closedStatus, file };
    const zone = await (this.#options.timeZone ?? systemTimeZone)();
    return { policy, status: policyStatus(policy, this.#clock.nowMs(), zone), file };
  }

  #tell(reading: PolicyReading): void {
    const { logger, path } = this.#options;
    const { status } = this.#current;
    if (reading.kind === 'broken') {
      const counts = this.#good === undefined ? 'nothing runs until it can be read' : 'the last good one goes on counting';
      logger.warn(`the owner policy is broken, and ${counts}`, { problem: reading.message });
    } else if (reading.kind === 'absent') logger.info('there is no owner policy: nothing is bounded', { path });
    else
      logger.info('the owner policy counts', {
        path,
        open: status?.open,
        ...(status?.reason === undefined ? {} : { reason: status.reason }),
      });
  }

  async #readLastGood(): Promise<void> {
    const { lastGoodPath } = this.#options;
    const text = await readFile(lastGoodPath, 'utf8').catch(() => undefined);
    const reading = text === undefined ? undefined : readPolicyText(lastGoodPath, text);
    if (reading?.kind === 'valid') this.#good = reading;
  }

  async #keepGood({ policy, text }: { policy: OwnerPolicy; text: string }): Promise<void> {
    const { lastGoodPath } = this.#options;
    this.#good = { policy, text };
    await writeFile(`${lastGoodPath}.new`, text, { mode: 0o600 });
    await rename(`${lastGoodPath}.new`, lastGoodPath);
  }

  async #forgetGood(): Promise<void> {
    this.#good = undefined;
    await rm(this.#options.lastGoodPath, { force: true });
  }
}

function systemTimeZone(): Promise<string> {
  return machineTimeZone('/', process.env['TZ']);
}
