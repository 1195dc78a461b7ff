/** Lets people into an instance: one sshd for each connection, started in its container from the toolbox. */
import type { Duplex } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import type { Instance } from '../../api/generated/instance.ts';
import { reasons } from '../../api/reasons.ts';
import { secrets } from '../../api/resource-type.ts';
import type { Client } from '../../client/client.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { ContainerEntry, EntryEngine } from '../engine/docker-entry.ts';
import { toolboxRoot } from '../toolbox/toolbox-contents.ts';
import { StreamRefusal } from '../tunnel/stream-handler.ts';
import type { StreamHandler, StreamRequest } from '../tunnel/stream-handler.ts';
import { readIdMaps } from './entry-folder.ts';
import type { EntryFolderKeeper } from './entry-folder.ts';
import { parseImageFacts } from './image-facts.ts';
import type { ImageFacts } from './image-facts.ts';
import type { SessionCgroups } from './session-cgroups.ts';
import type { SshSessions } from './ssh-sessions.ts';
import { LogLines, fingerprintOf, parseAccepted } from './sshd-log.ts';

export interface SshHandlerOptions {
  client: Pick<Client, 'get'>;
  engine: EntryEngine;
  folders: EntryFolderKeeper;
  sessions: SshSessions;
  cgroups: SessionCgroups;
  /** Why nobody can be let in yet; undefined when they can. */
  toolsMissing: () => string | undefined;
  greeting: (instance: Instance) => string;
  recorder: Pick<EventRecorder, 'record'>;
  providerName: string;
  logger: Logger;
}

const startTimeoutMs = 15_000;
const secretTimeoutMs = 5_000;
/** sshd, whose client is gone, goes by itself, in less time. */
const lingerMs = 10_000;
/** Of one instance, with a connection. */
const mostPerInstance = 64;
const mostHostKeys = 256;
const busybox = `${toolboxRoot}/bin/busybox`;

export class SshHandler {
  readonly #options: SshHandlerOptions;
  /** By instance and public half: they do not change, and the API may be away. */
  readonly #hostKeys = new Map<string, string>();

  constructor(options: SshHandlerOptions) {
    this.#options = options;
  }

  readonly handle: StreamHandler = async (request) => {
    const { folders, sessions, greeting } = this.#options;
    const { instance, sessionId } = request;
    const containerId = this.#judge(request);
    const uid = instance.metadata.uid ?? '';
    const hostKey = await this.#hostKey(instance);
    const keys = instance.status?.ssh?.authorizedKeys ?? [];
    await Promise.all([folders.writeKeys(uid, [...new Set(keys.map(({ key }) => key))]), folders.writeGreeting(uid, greeting(instance))]);
    const sshd = await this.#start(request, containerId, hostKey);
    const stream = request.accept();
    sessions.add(
      { id: sessionId, instanceUid: uid, epoch: instance.status?.assignment?.epoch ?? 0, containerId, cgroup: sshd.cgroup },
      (why) => sshd.cut(why),
    );
    try {
      await sshd.serve(stream, request.signal);
    } finally {
      sshd.entry?.stream.destroy();
      await sessions.closed(sessionId);
      this.#tellEnd(instance, sshd);
    }
  };

  /** Answers the container's id. */
  #judge({ instance, container }: StreamRequest): string {
    const { toolsMissing, sessions, providerName } = this.#options;
    const name = nameOf(instance);
    if (container === undefined) throw new StreamRefusal(409, `instance ${name} has no container on provider ${providerName} yet`);
    if (instance.spec.isolation === 'Sandboxed') {
      throw new StreamRefusal(
        403,
        `instance ${name} is sandboxed: a session there could not be ended by itself; kubectl exec and potluck exec work`,
      );
    }
    if (container.state === 'paused')
      throw new StreamRefusal(409, `instance ${name} is frozen on provider ${providerName}; its events say why`);
    if (container.enterable !== true) {
      const remedy =
        'it can be entered once its container is made anew, as when its image or a variable changes, or it is deleted and created again';
      throw new StreamRefusal(409, `the container of instance ${name} was made before SSH was there; ${remedy}`);
    }
    const missing = toolsMissing();
    if (missing !== undefined) throw new StreamRefusal(503, `provider ${providerName} does not have the tools of SSH yet: ${missing}`);
    const open = sessions.openOf(instance.metadata.uid ?? '').length;
    if (open >= mostPerInstance || sessions.isFull)
      throw new StreamRefusal(429, `instance ${name} has ${open} sessions, which is the most; close one`);
    return container.id;
  }

  async #hostKey(instance: Instance): Promise<string> {
    const { uid = '', namespace = '' } = instance.metadata;
    const { hostKey: publicLine, hostKeySecretName: name } = instance.status?.ssh ?? {};
    if (publicLine === undefined || name === undefined)
      throw new StreamRefusal(503, `instance ${nameOf(instance)} has no host key yet; try again in a moment`);
    const cached = this.#hostKeys.get(`${uid} ${publicLine}`);
    if (cached !== undefined) return cached;
    let data;
    try {
      ({ data } = await this.#options.client.get(secrets, { namespace, name }, { signal: AbortSignal.timeout(secretTimeoutMs) }));
    } catch (error) {
      this.#options.logger.warn('the host key of an instance cannot be read', { secret: `${namespace}/${name}`, error });
      throw new StreamRefusal(503, `the host key of instance ${nameOf(instance)}, secret ${name}, cannot be read`);
    }
    const text = (key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString('utf8');
    if (text('publicKey') !== publicLine || !text('key').includes('OPENSSH PRIVATE KEY')) {
      throw new StreamRefusal(503, `the secret ${name} does not have the host key of instance ${nameOf(instance)}`);
    }
    if (this.#hostKeys.size >= mostHostKeys) this.#hostKeys.clear();
    this.#hostKeys.set(`${uid} ${publicLine}`, text('key'));
    return text('key');
  }

  /** A process that waits, alone in its control group, with everything in place for sshd. */
  async #start(request: StreamRequest, containerId: string, hostKey: string): Promise<StartedSshd> {
    const { engine, cgroups, folders, logger, providerName } = this.#options;
    const { instance, sessionId } = request;
    const sshd = new StartedSshd((line) => this.#onLog(request, sshd, line));
    try {
      sshd.entry = await engine.enter({
        containerId,
        command: [busybox, 'sh', `${toolboxRoot}/bin/start-sshd`],
        onStderr: (chunk) => sshd.lines.push(chunk),
      });
      sshd.entry.stream.once('close', () => sshd.fail(new Error('it ended before it said what the image is like')));
      const facts = await withTimeout(sshd.facts.promise, startTimeoutMs);
      const pid = await sshd.entry.pid();
      sshd.cgroup = await cgroups.enclose(pid, containerId, sessionId);
      if (!facts.hasTemporary) await this.#makeTemporary(containerId);
      await folders.writeAccounts(instance.metadata.uid ?? '', facts, hostKey, await readIdMaps(pid));
      return sshd;
    } catch (error) {
      sshd.entry?.stream.destroy();
      logger.warn('sshd cannot be started', { instance: nameOf(instance), error });
      const why = error instanceof Error ? error.message : String(error);
      throw new StreamRefusal(503, `nobody can be let into instance ${nameOf(instance)} on provider ${providerName}: ${why}`);
    }
  }

  /** Sockets of a forwarded agent stand there, whatever the image. */
  async #makeTemporary(containerId: string): Promise<void> {
    const { stream } = await this.#options.engine.enter({
      containerId,
      user: '0',
      command: [busybox, 'mkdir', '-p', '-m', '1777', '/tmp'],
      onStderr: () => undefined,
    });
    stream.end();
    await withTimeout(finished(stream.resume()), startTimeoutMs);
  }

  #onLog({ instance, sessionId }: StreamRequest, sshd: StartedSshd, line: string): void {
    this.#options.logger.debug('sshd', { session: sessionId, line });
    const accepted = sshd.member === undefined ? parseAccepted(line) : undefined;
    if (accepted === undefined) return;
    const { sessions, recorder, logger } = this.#options;
    const found = (instance.status?.ssh?.authorizedKeys ?? []).find(({ key }) => fingerprintOf(key) === accepted.fingerprint);
    if (found === undefined) {
      sshd.cut('it got in by a key that is not known');
      return;
    }
    sshd.member = found.member;
    sshd.openedAtMs = Date.now();
    sessions.authenticated(sessionId, found.key, found.member);
    logger.info('a session is open', { session: sessionId, instance: nameOf(instance), member: found.member, key: accepted.fingerprint });
    const message = `${found.member} came in by SSH as ${accepted.login}, with the key ${accepted.fingerprint}, session ${sessionId}`;
    recorder.record(instance, 'Normal', reasons.sessionOpened, message);
  }

  #tellEnd(instance: Instance, { member, openedAtMs, whyCut }: StartedSshd): void {
    if (member === undefined || openedAtMs === undefined) return;
    const seconds = Math.round((Date.now() - openedAtMs) / 1000);
    const cut = whyCut === undefined ? '' : `, cut: ${whyCut}`;
    const from = new Date(openedAtMs).toISOString();
    this.#options.recorder.record(instance, 'Normal', reasons.sessionClosed, `${member} left SSH after ${seconds} s (from ${from})${cut}`);
  }
}

class StartedSshd {
  readonly facts = Promise.withResolvers<ImageFacts>();
  readonly lines: LogLines;
  entry: ContainerEntry | undefined;
  cgroup = '';
  member: string | undefined;
  openedAtMs: number | undefined;
  whyCut: string | undefined;
  #before: string[] | undefined = [];
  #stream: Duplex | undefined;

  constructor(onLog: (line: string) => void) {
    // Nobody may be waiting when it fails.
    this.facts.promise.catch(() => undefined);
    this.lines = new LogLines((line) => {
      if (this.#before === undefined) onLog(line);
      else this.#onFact(this.#before, line);
    });
  }

  fail(error: Error): void {
    const said = this.#before?.slice(-1)[0];
    this.facts.reject(said === undefined ? error : new Error(said.slice(0, 200), { cause: error }));
  }

  cut(why: string): void {
    this.whyCut ??= why;
    this.#stream?.destroy();
    this.entry?.stream.destroy();
  }

  /** Resolves when the connection is over. */
  async serve(stream: Duplex, signal: AbortSignal): Promise<void> {
    this.#stream = stream;
    if (this.whyCut !== undefined) {
      stream.destroy();
      return;
    }
    const inside = this.entry?.stream;
    if (inside === undefined) return;
    inside.write('go\n');
    const incoming = pipeline(stream, inside, { signal }).finally(() => setTimeout(() => inside.destroy(), lingerMs).unref());
    // sshd that ended ends the connection; a client that hung up ends sshd.
    await Promise.allSettled([incoming, pipeline(inside, stream, { signal }).finally(() => stream.destroy())]);
  }

  #onFact(before: string[], line: string): void {
    if (line !== 'ready') {
      if (before.push(line) > 100) this.fail(new Error('the instance says too much'));
      return;
    }
    this.#before = undefined;
    try {
      this.facts.resolve(parseImageFacts(before));
    } catch (error) {
      this.facts.reject(error);
    }
  }
}

function nameOf({ metadata }: Instance): string {
  return `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`it took longer than ${timeoutMs / 1000} s`)), timeoutMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
