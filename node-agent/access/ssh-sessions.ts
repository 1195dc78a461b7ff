/**
 * The sessions of this machine's instances, and what they left running: ended when the key that opened them opens no more, or the instance is
 * not to be here. What runs on after a session ended by itself (`tmux`, `nohup`) is still the session's; it is written down, since an agent
 * that is started anew must know whose it is.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Instance } from '../../api/generated/instance.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { SessionCgroups } from './session-cgroups.ts';
import { whyToEnd } from './session-ends.ts';
import type { SessionFacts } from './session-ends.ts';

export interface Session extends SessionFacts {
  id: string;
  /** Path of its control group. */
  cgroup: string;
  /** Whose key it was; absent until somebody got in. */
  member?: string;
}

interface Entry {
  session: Session;
  /** Cuts the connection; absent when it ended by itself. */
  cut?: (why: string) => void;
  ending?: Promise<void>;
}

export interface SshSessionsOptions {
  providerUid: string;
  /** By uid, as this provider sees it now. */
  instanceOf: (uid: string) => Instance | undefined;
  cgroups: SessionCgroups;
  /** `agent/ssh-sessions.json`. */
  path: string;
  logger: Logger;
}

/** Of one machine; what was left behind counts. */
const mostSessions = 1024;
const sweepMs = 10_000;

export class SshSessions {
  readonly #options: SshSessionsOptions;
  readonly #entries = new Map<string, Entry>();
  #writing: Promise<void> = Promise.resolve();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: SshSessionsOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier agent wrote down. Its connections ended with it. */
  async start(): Promise<void> {
    const { path, logger } = this.#options;
    try {
      const sessions = JSON.parse(await readFile(path, 'utf8')) as Session[];
      for (const session of sessions) this.#entries.set(session.id, { session });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') logger.warn('what ran in sessions before is not known', { error });
    }
    this.#sweeper = setInterval(() => void this.#sweep(), sweepMs);
    this.#sweeper.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweeper);
    for (const { cut } of this.#entries.values()) cut?.('the agent stops');
    await this.#writing;
  }

  get isFull(): boolean {
    return this.#entries.size >= mostSessions;
  }

  /** Those with a connection. */
  openOf(instanceUid: string): Session[] {
    return [...this.#entries.values()]
      .filter(({ cut, session }) => cut !== undefined && session.instanceUid === instanceUid)
      .map(({ session }) => session);
  }

  add(session: Session, cut: (why: string) => void): void {
    this.#entries.set(session.id, { session, cut });
    this.#write();
    this.check(session.instanceUid);
  }

  /** Somebody got in. */
  authenticated(id: string, key: string, member: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    Object.assign(entry.session, { key, member });
    this.#write();
    this.check(entry.session.instanceUid);
  }

  /** The connection is over: what it left running may go on, unless nobody ever got in. */
  async closed(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    delete entry.cut;
    if (entry.session.key === undefined) await this.#end(entry, 'nobody got in');
    else await this.#release(entry);
  }

  /** Ends what must end, as the instance is now. Never throws. */
  check(instanceUid: string): void {
    const { instanceOf, providerUid } = this.#options;
    for (const entry of this.#entries.values()) {
      if (entry.session.instanceUid !== instanceUid || entry.ending !== undefined) continue;
      const why = whyToEnd(entry.session, instanceOf(instanceUid), providerUid);
      if (why !== undefined) entry.ending = this.#end(entry, why);
    }
  }

  /** After the list of instances was read anew. */
  checkAll(): void {
    for (const uid of new Set([...this.#entries.values()].map(({ session }) => session.instanceUid))) this.check(uid);
  }

  async #end(entry: Entry, why: string): Promise<void> {
    const { cgroups, logger } = this.#options;
    const { session } = entry;
    logger.info('a session is ended', { session: session.id, instance: session.instanceUid, member: session.member, why });
    entry.cut?.(why);
    try {
      await cgroups.end(session.cgroup);
      this.#entries.delete(session.id);
      this.#write();
    } catch (error) {
      // It is tried again at the next sweep.
      delete entry.ending;
      logger.warn('what a session started cannot be ended yet', { session: session.id, error });
    }
  }

  async #release(entry: Entry): Promise<void> {
    if (!(await this.#options.cgroups.release(entry.session.cgroup))) return;
    this.#entries.delete(entry.session.id);
    this.#write();
  }

  async #sweep(): Promise<void> {
    this.checkAll();
    for (const entry of this.#entries.values()) if (entry.cut === undefined && entry.ending === undefined) await this.#release(entry);
  }

  /** One write at a time; the newest state is the one that stays. */
  #write(): void {
    const { path, logger } = this.#options;
    const write = async (): Promise<void> => {
      const sessions = [...this.#entries.values()].map(({ session }) => session);
      await writeFile(`${path}.new`, JSON.stringify(sessions), { mode: 0o600 });
      await rename(`${path}.new`, path);
    };
    this.#writing = this.#writing.then(write).catch((error: unknown) => logger.warn('sessions cannot be written down', { error }));
  }
}
