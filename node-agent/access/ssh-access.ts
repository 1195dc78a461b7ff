/** Everything that lets people into instances by SSH, wired together: the toolbox, what instances see of it, and their sessions. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Instance } from '../../api/generated/instance.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { EntryEngine } from '../engine/docker-entry.ts';
import type { EntryFolders } from '../engine/engine.ts';
import { Toolbox } from '../toolbox/toolbox.ts';
import type { StreamHandler } from '../tunnel/stream-handler.ts';
import { EntryFolderKeeper } from './entry-folder.ts';
import { greeting } from './greeting.ts';
import type { GreetingFacts } from './greeting.ts';
import { SessionCgroups } from './session-cgroups.ts';
import { SshHandler } from './ssh-handler.ts';
import { SshSessions } from './ssh-sessions.ts';

export interface SshAccessOptions {
  client: Client;
  /** `$POTLUCK_HOME`. */
  home: string;
  providerName: string;
  providerUid: string;
  engine: EntryEngine;
  /** A toolbox that was made elsewhere. */
  toolbox?: string;
  /** Of the instances assigned to this provider, with an index `uid`. */
  informer: Informer<Instance>;
  /** What an instance has, and uses of its disk. */
  facts: (instance: Instance) => Pick<GreetingFacts, 'resources' | 'diskUsedBytes'>;
  recorder: EventRecorder;
  logger: Logger;
}

export class SshAccess {
  readonly #options: SshAccessOptions;
  readonly #toolbox: Toolbox;
  readonly #folders: EntryFolderKeeper;
  readonly #sessions: SshSessions;
  readonly handle: StreamHandler;
  #unlisten: (() => void) | undefined;

  constructor(options: SshAccessOptions) {
    const { client, home, providerName, providerUid, engine, informer, facts, recorder, logger } = options;
    this.#options = options;
    const directory = join(home, 'toolbox');
    const cgroups = new SessionCgroups();
    this.#toolbox = new Toolbox({ directory, ...(options.toolbox === undefined ? {} : { madeElsewhere: options.toolbox }), logger });
    this.#folders = new EntryFolderKeeper({ directory, tools: this.#toolbox.directory });
    this.#sessions = new SshSessions({
      providerUid,
      instanceOf: (uid) => informer.byIndex('uid', uid)[0],
      cgroups,
      path: join(home, 'agent', 'ssh-sessions.json'),
      logger,
    });
    const handler = new SshHandler({
      client,
      engine,
      folders: this.#folders,
      sessions: this.#sessions,
      cgroups,
      toolsMissing: () => this.#toolbox.missing,
      greeting: (instance) => greeting({ instance, ...facts(instance) }),
      recorder,
      providerName,
      logger,
    });
    this.handle = handler.handle;
  }

  /** Of a container that is about to be made. */
  async entryOf(instanceUid: string): Promise<EntryFolders> {
    await mkdir(this.#toolbox.directory, { recursive: true, mode: 0o755 });
    return this.#folders.prepare(instanceUid);
  }

  /** Once the instances are known: what must not go on ends. */
  async start(): Promise<void> {
    const { informer } = this.#options;
    await this.#toolbox.start();
    await this.#sessions.start();
    this.#unlisten = informer.onChange((_key, instance, previous) => {
      for (const uid of new Set([instance?.metadata.uid, previous?.metadata.uid])) if (uid !== undefined) this.#sessions.check(uid);
    });
    this.#sessions.checkAll();
    await this.#folders.keepOnly((uid) => informer.byIndex('uid', uid).length > 0);
  }

  async stop(): Promise<void> {
    this.#unlisten?.();
    await this.#sessions.stop();
    await this.#toolbox.stop();
  }
}
