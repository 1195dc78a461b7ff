/** Debian's docker-registry in network namespaces of test engines, with or without passwords; all of one storage. Needs `htpasswd` too. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { eventually } from './eventually.ts';

export interface RegistryOptions {
  /** Files for `nsenter`; in each the registry answers at 127.0.0.1. */
  namespaces: readonly string[];
  port: number;
  /** Absent: everybody may have everything. */
  user?: { username: string; password: string };
}

export interface TestRegistry {
  /** First part of its images' names. */
  readonly host: string;
  /** Puts an image that an engine has into the registry; answers its digest. */
  push(socketPath: string, image: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startImageRegistry({ namespaces, port, user }: RegistryOptions): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-registry-'));
  const config = join(directory, 'config.yml');
  const htpasswd = join(directory, 'htpasswd');
  if (user !== undefined) await writeFile(htpasswd, await runCommand('htpasswd', ['-niB', user.username], user.password));
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'data') } },
      http: { addr: `127.0.0.1:${port}` },
      ...(user === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
    }),
  );
  const processes = namespaces.map((namespace) =>
    spawn('nsenter', [`--net=${namespace}`, 'docker-registry', 'serve', config], { stdio: 'ignore' }),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map(end));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    for (const namespace of namespaces) await untilItAnswers(namespace, port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: `127.0.0.1:${port}`, push: (socketPath, image, name) => push({ socketPath, image, name, port, user }), stop };
}

async function untilItAnswers(namespace: string, port: number): Promise<void> {
  const ask = ['curl', '--silent', '--show-error', '--output', '/dev/null', `http://127.0.0.1:${port}/v2/`];
  await eventually(() => runCommand('nsenter', [`--net=${namespace}`, ...ask]), { timeoutMs: 15_000, what: 'the registry' });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

interface Push {
  socketPath: string;
  image: string;
  name: string;
  port: number;
  user: RegistryOptions['user'];
}

async function push({ socketPath, image, name, port, user }: Push): Promise<string> {
  const docker = new Docker({ socketPath });
  const [repository = '', tag = ''] = name.split(':');
  const repo = `127.0.0.1:${port}/${repository}`;
  await docker.getImage(image).tag({ repo, tag });
  const stream = await docker.getImage(`${repo}:${tag}`).push({ authconfig: { username: '', password: '', ...user, serveraddress: '' } });
  const lines: { error?: string; aux?: { Digest?: string } }[] = await new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (error, output) => (error === null ? resolve(output as []) : reject(error)));
  });
  await docker.getImage(`${repo}:${tag}`).remove();
  const digest = lines.findLast(({ aux }) => aux?.Digest !== undefined)?.aux?.Digest;
  if (digest === undefined) throw new Error(`the push of ${name} failed: ${lines.find(({ error }) => error !== undefined)?.error ?? ''}`);
  return digest;
}
