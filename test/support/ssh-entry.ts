/** Instances that can be entered by SSH without a pool: an engine, containers as the agent makes them, and the agent's handler behind a Unix socket. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instance } from '../../api/generated/instance.ts';
import { instanceUidLabel, providerLabel } from '../../api/names.ts';
import { EntryFolderKeeper } from '../../node-agent/access/entry-folder.ts';
import { SessionCgroups } from '../../node-agent/access/session-cgroups.ts';
import { SshHandler } from '../../node-agent/access/ssh-handler.ts';
import { SshSessions } from '../../node-agent/access/ssh-sessions.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { createEntryEngine } from '../../node-agent/engine/docker-entry.ts';
import { StreamRefusal } from '../../node-agent/tunnel/stream-handler.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { makeSshKeyPair } from '../../runtime/ssh-key-pair.ts';
import { testToolbox } from './toolbox.ts';

export interface EnteredInstance {
  name: string;
  instance: Instance;
  containerId: string;
  socketPath: string;
  /** The status changed: what the informer would do. */
  changed(): void;
  /** Runs a program in the container as root, without SSH. Answers its output. */
  inside(...command: string[]): Promise<string>;
}

export interface SshEntry {
  directory: string;
  keyFile: string;
  publicKey: string;
  events: { reason: string; message: string }[];
  sessions: SshSessions;
  make(name: string, image: string, command?: readonly string[]): Promise<EnteredInstance>;
  /** Options of OpenSSH's clients for this instance; the host is called `name`. */
  options(entered: EnteredInstance, keyFile?: string): string[];
  makeKey(name: string): Promise<{ file: string; publicKey: string }>;
  stop(): Promise<void>;
}

const pipeProgram = join(import.meta.dirname, 'unix-pipe.mjs');
const providerUid = 'provider-1';

export async function startSshEntry(socketPath: string): Promise<SshEntry> {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-ssh-'));
  const engine = createDockerEngine(socketPath);
  const folders = new EntryFolderKeeper({ directory: join(directory, 'toolbox'), tools: await testToolbox() });
  const cgroups = new SessionCgroups();
  const all = new Map<string, Instance>();
  const containers: string[] = [];
  const events: { reason: string; message: string }[] = [];
  const secrets = new Map<string, Record<string, string>>();
  const sessions = new SshSessions({
    providerUid,
    instanceOf: (uid) => all.get(uid),
    cgroups,
    path: join(directory, 'sessions.json'),
    logger: silentLogger,
  });
  await sessions.start();
  const handler = new SshHandler({
    client: { get: (_: unknown, { name }: { name: string }) => Promise.resolve({ data: secrets.get(name) }) } as never,
    engine: createEntryEngine(socketPath),
    folders,
    sessions,
    cgroups,
    toolsMissing: () => undefined,
    greeting: ({ metadata }) => `Welcome to ${metadata.name ?? ''}\n`,
    recorder: { record: (_, __, reason, message) => void events.push({ reason, message }) },
    providerName: 'desktop',
    logger: silentLogger,
  });
  const servers: Server[] = [];

  async function makeKey(name: string): Promise<{ file: string; publicKey: string }> {
    const file = join(directory, name);
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
    return { file, publicKey: (await readFile(`${file}.pub`, 'utf8')).trim() };
  }
  const { file: keyFile, publicKey } = await makeKey('id');

  async function make(
    name: string,
    image: string,
    command: readonly string[] = ['/.potluck/current/bin/busybox', 'sleep', '100000'],
  ): Promise<EnteredInstance> {
    const uid = randomUUID();
    const pair = makeSshKeyPair(name);
    const encode = (text: string): string => Buffer.from(text).toString('base64');
    secrets.set(`${name}-key`, { key: encode(pair.privatePem), publicKey: encode(pair.publicLine) });
    const limits = { cpuMillis: 1000, cpuShares: 1024, cpuset: '0-1', memoryBytes: 512e6, memoryReservationBytes: 0, pids: 200 };
    const labels = { [providerLabel]: providerUid, [instanceUidLabel]: uid };
    const entry = await folders.prepare(uid);
    const containerId = await engine.createContainer({
      name: `ssh-${name}-${uid}`,
      image,
      command,
      env: [{ name: 'GIVEN', value: 'a "b" \\c $d #e' }],
      hostname: name,
      labels,
      limits,
      entry,
    });
    containers.push(containerId);
    await engine.startContainer(containerId);
    const instance: Instance = {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name, namespace: 'toto', uid },
      spec: { image, resources: { requests: { cpu: '1', memory: '64Mi' } }, powerState: 'Running' },
      status: {
        assignment: { providerName: 'desktop', providerUID: providerUid, epoch: 1 },
        ssh: { authorizedKeys: [{ member: 'toto', key: publicKey }], hostKey: pair.publicLine, hostKeySecretName: `${name}-key` },
      },
    };
    all.set(uid, instance);
    const path = join(directory, `${name}.sock`);
    servers.push(
      createServer({ allowHalfOpen: true }, (socket) => {
        const ending = new AbortController();
        socket.on('error', () => undefined).once('close', () => ending.abort());
        const request = {
          instance: all.get(uid) ?? instance,
          parameters: {},
          sessionId: randomBytes(16).toString('hex'),
          user: 'toto',
          accept: () => socket,
          signal: ending.signal,
        };
        void (async () => {
          try {
            await handler.handle({ ...request, container: await engine.inspectContainer(containerId) });
          } catch (error) {
            socket.end(error instanceof StreamRefusal ? `${error.message}\n` : `${String(error)}\n`);
          }
        })();
      }).listen(path),
    );
    return {
      name,
      instance,
      containerId,
      socketPath: path,
      changed: () => sessions.check(uid),
      inside: async (...inner) => run('docker', ['-H', `unix://${socketPath}`, 'exec', '-u', '0', containerId, ...inner]),
    };
  }

  return {
    directory,
    keyFile,
    publicKey,
    events,
    sessions,
    make,
    makeKey,
    options: (entered, key = keyFile) => {
      const set = {
        IdentitiesOnly: 'yes',
        IdentityFile: key,
        User: 'potluck',
        ProxyCommand: `${process.execPath} ${pipeProgram} ${entered.socketPath}`,
        StrictHostKeyChecking: 'no',
        UserKnownHostsFile: '/dev/null',
        LogLevel: 'ERROR',
      };
      return ['-F', 'none', ...Object.entries(set).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
    },
    stop: async () => {
      for (const server of servers) server.close();
      await sessions.stop();
      for (const id of containers) await engine.removeContainer(id);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { maxBuffer: 64e6 }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} failed`, { cause: error }));
    });
  });
}

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a client to its end; within a minute. */
export async function runClient(command: string, args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'], timeout: 60_000 });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }));
  });
}
