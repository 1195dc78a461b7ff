/**
 * SSH through the whole path (jump host, gateway, tunnel, agent, sshd in the instance) beside the same client with a plain sshd on this machine:
 * throughput both ways, time to connect, echo, and what an idle session takes. `npm run bench -- ssh`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Member } from '../api/generated/member.ts';
import { instances, members } from '../api/resource-type.ts';
import { createClient } from '../client/kube-client.ts';
import { debianRootfs } from '../test/support/debian-rootfs.ts';
import { eventually } from '../test/support/eventually.ts';
import { startPlainSshd } from '../test/support/plain-sshd.ts';
import { runClient } from '../test/support/ssh-entry.ts';
import '../test/support/toolbox-environment.mjs';
import { testToolbox } from '../test/support/toolbox.ts';
import { Up } from '../test/support/up.ts';
import { percentile } from './percentile.ts';
import { processUsage } from './process-usage.ts';

const potluck = join(import.meta.dirname, '../bin/potluck');
const megabytes = 200;
const connections = 20;
const echoes = 500;
const idleSessions = 20;
/** As `up` names what it starts in its folder of pid files. */
const carriers = ['jump-host', 'gateway', 'agent'] as const;

/** A client's words up to the command: `ssh …options host`. */
type Target = readonly string[];

export async function ssh(): Promise<void> {
  await testToolbox();
  const directory = await mkdtemp(join(tmpdir(), 'potluck-bench-ssh-'));
  const home = join(directory, 'home');
  const keyFile = join(directory, '.ssh/id_ed25519');
  await mkdir(join(directory, '.ssh'));
  await runClient('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', keyFile]);
  const key = (await readFile(`${keyFile}.pub`, 'utf8')).trim();
  // For both hops.
  await writeFile(join(directory, '.ssh/config'), `IdentityFile ${keyFile}\nIdentitiesOnly yes\n`);
  const plain = await startPlainSshd(key);
  const up = new Up(['--home', home, '--listen', '127.0.0.1:0', '--no-example', '--rootfs', await debianRootfs()]);
  try {
    await up.untilReady(300_000);
    await makeInstance(home, key);
    await runClient('env', [`HOME=${directory}`, `KUBECONFIG=${join(home, 'kubeconfig')}`, potluck, 'ssh-config', '--include']);
    const ours: Target = ['-F', join(directory, '.ssh/config'), 'box.toto.potluck'];
    const theirs: Target = [...plain.options(keyFile), '127.0.0.1'];
    await compareThroughput(ours, theirs);
    await compareConnecting(ours, theirs);
    await compareEcho(ours, theirs);
    await measureIdle(ours, home);
  } finally {
    await up.end('SIGTERM');
    await runClient(potluck, ['down', '--purge', '--home', home]);
    await plain.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function makeInstance(home: string, key: string): Promise<void> {
  const client = createClient({ kubeconfig: join(home, 'kubeconfig'), userAgent: 'bench' });
  const toto: Member = {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Member',
    metadata: { name: 'toto' },
    spec: { permissions: ['Use'], sshKeys: [key] },
  };
  await client.create(members, toto);
  const box = {
    apiVersion: 'potluck.dev/v1alpha1' as const,
    kind: 'Instance' as const,
    metadata: { name: 'box', namespace: 'toto' },
    spec: { image: 'debian:12', command: ['sleep', '1000000'], resources: { requests: { cpu: '1', memory: '256Mi' } } },
  };
  await eventually(() => client.create(instances, box), { timeoutMs: 60_000, what: "the member's namespace" });
  const enterable = async (): Promise<void> => {
    const { status } = await client.get(instances, { namespace: 'toto', name: 'box' });
    if (status?.phase !== 'Running' || status.ssh?.authorizedKeys === undefined) throw new Error(status?.phase ?? 'no status');
  };
  await eventually(enterable, { timeoutMs: 120_000, what: 'the instance' });
  client.close();
}

/** Seconds; rejects when the client does not end well. */
async function timeClient(target: Target, script: (client: string) => string, command: string): Promise<number> {
  const quoted = ['ssh', ...target].map((word) => `'${word}'`).join(' ');
  const startedMs = performance.now();
  const { code, stderr } = await runClient('bash', ['-c', `set -o pipefail; ${script(`${quoted} '${command}'`)}`]);
  if (code !== 0) throw new Error(`${command}: ${stderr}`);
  return (performance.now() - startedMs) / 1000;
}

async function compareThroughput(ours: Target, theirs: Target): Promise<void> {
  const ways: Record<string, [(client: string) => string, string]> = {
    up: [(client) => `head -c ${megabytes}M /dev/zero | ${client}`, 'cat > /dev/null'],
    down: [(client) => `${client} > /dev/null`, `head -c ${megabytes}M /dev/zero`],
  };
  for (const [way, [script, command]] of Object.entries(ways)) {
    const [plainSeconds, seconds] = [await timeClient(theirs, script, command), await timeClient(ours, script, command)];
    const rate = (took: number): string => (megabytes / took).toFixed(0);
    console.log(
      `${way}: ${rate(seconds)} MB/s through the pool, ${rate(plainSeconds)} MB/s plain: ratio ${(plainSeconds / seconds).toFixed(2)} (target >= 0.5)`,
    );
  }
}

async function compareConnecting(ours: Target, theirs: Target): Promise<void> {
  const times: number[][] = [[], []];
  for (let n = 0; n < connections; n += 1) {
    for (const [index, target] of [ours, theirs].entries()) times[index]?.push(await timeClient(target, (client) => client, 'true'));
  }
  const [pool = [], plain = []] = times;
  console.log(
    `to connect and run true: p50 ${percentile(pool, 0.5).toFixed(2)} s, p95 ${percentile(pool, 0.95).toFixed(2)} s (target < 1 s); plain p95 ${percentile(plain, 0.95).toFixed(2)} s`,
  );
}

async function live(target: Target): Promise<ChildProcess> {
  const child = spawn('ssh', [...target, 'echo started; cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.stdin?.end();
  await ended;
}

/** Milliseconds from a byte to its echo. */
async function echo(child: ChildProcess): Promise<number> {
  const startedMs = performance.now();
  const back = once(child.stdout!, 'data');
  child.stdin?.write('x');
  await back;
  return performance.now() - startedMs;
}

async function compareEcho(ours: Target, theirs: Target): Promise<void> {
  const sessions = [await live(ours), await live(theirs)] as const;
  const times: [number[], number[]] = [[], []];
  for (let n = 0; n < echoes; n += 1) {
    for (const index of [0, 1] as const) times[index].push(await echo(sessions[index]));
  }
  await Promise.all(sessions.map(end));
  const added = (share: number): string => (percentile(times[0], share) - percentile(times[1], share)).toFixed(2);
  console.log(`echo added: p50 ${added(0.5)} ms, p99 ${added(0.99)} ms (target < 5 ms)`);
}

async function measureIdle(ours: Target, home: string): Promise<void> {
  const resident = async (): Promise<number[]> =>
    Promise.all(
      carriers.map(async (name) => {
        const { pid } = JSON.parse(await readFile(join(home, 'run', `${name}.pid`), 'utf8')) as { pid: number };
        return (await processUsage(pid)).residentMb;
      }),
    );
  const before = await resident();
  const sessions: ChildProcess[] = [];
  for (let n = 0; n < idleSessions; n += 1) sessions.push(await live(ours));
  await delay(10_000);
  const after = await resident();
  await Promise.all(sessions.map(end));
  const each = carriers.map((name, index) => `${name} ${(((after[index] ?? 0) - (before[index] ?? 0)) / idleSessions).toFixed(2)}`);
  console.log(`an idle session takes, in MB, of ${idleSessions}: ${each.join(', ')}`);
}
