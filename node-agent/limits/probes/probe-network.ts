/** Tries the walls and the limits of bandwidth from inside of two short-lived containers on the pool's own engine. */
import { spawn } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { runCommand, searchPath } from '../../engine/run-command.ts';
import { probeSinks } from '../../engine/walls/wall-rules.ts';
import type { BandwidthLimits } from '../bandwidth/bandwidth-limits.ts';
import { probeLimits } from './judge-probes.ts';
import type { ShapingTrial, WallsTrial } from './judge-probes.ts';

export interface ProbedNetwork {
  /** The engine's, a file for `nsenter`. */
  namespace: string;
  bandwidth: BandwidthLimits;
}

export interface NetworkTrials {
  ingress: ShapingTrial;
  egress: ShapingTrial;
  walls: WallsTrial;
}

export interface Target {
  address: string;
  port: number;
}

export type NetworkQuestion =
  | { ask: 'flood'; target: Target; bitsPerSecond: number; seconds: number }
  | { ask: 'knock'; word: string; udp: Target[]; tcp: Target[] }
  | { ask: 'count' };

/** A container of the probe, with limits of {@link probeLimits}. */
export interface ProbedContainer {
  id: string;
  pid: number;
}

const program = join(import.meta.dirname, 'network-probe-process.ts');
/** Of one process, its start included. */
const timeoutMs = 20_000;
const floodSeconds = 1.5;
const discardPort = 9;
const metadata = '169.254.169.254';
/** What is sent by us, who may, and from inside. */
const [permitted, forbidden] = ['permitted', 'forbidden'] as const;

export async function probeNetwork(
  network: ProbedNetwork,
  [container, neighbour]: readonly [ProbedContainer, ProbedContainer],
  signal: AbortSignal,
): Promise<NetworkTrials> {
  const inside = namespaceOf(container);
  const address = await addressOf(container);
  // One after the other: each way by itself.
  const egress = await floodThrough(network, container, 'egressBytes', { namespace: inside, address: await chooseSink(), signal });
  const ingress = await floodThrough(network, container, 'ingressBytes', { namespace: network.namespace, address, signal });
  return { ingress, egress, walls: await knockAround(inside, neighbour, signal) };
}

interface FloodOptions {
  /** Where from. */
  namespace: string;
  address: string;
  signal: AbortSignal;
}

async function floodThrough(
  { bandwidth }: ProbedNetwork,
  { id }: ProbedContainer,
  way: 'ingressBytes' | 'egressBytes',
  { namespace, address, signal }: FloodOptions,
): Promise<ShapingTrial> {
  const bitsPerSecond = probeLimits.bandwidthBitsPerSecond * 5;
  const before = (await bandwidth.passed(id))[way];
  const target = { address, port: discardPort };
  const answer = await askOnce(namespace, { ask: 'flood', target, bitsPerSecond, seconds: floodSeconds }, signal);
  const passedBytes = (await bandwidth.passed(id))[way] - before;
  // What was queued goes on passing until it is counted.
  const passedSeconds = (Date.now() - Number(answer['startedAtMs'])) / 1000;
  return {
    sentBitsPerSecond: (Number(answer['sentBytes']) * 8) / Number(answer['seconds']),
    passedBitsPerSecond: (passedBytes * 8) / passedSeconds,
  };
}

/** At this machine's addresses, its gateway, the metadata address and the neighbour; who is ours counts what arrives. */
async function knockAround(inside: string, neighbour: ProbedContainer, signal: AbortSignal): Promise<WallsTrial> {
  const counters = [new Asker(undefined, signal), new Asker(namespaceOf(neighbour), signal)] as const;
  try {
    const [here = 0, there = 0] = (await Promise.all(counters.map((counter) => counter.ask({ ask: 'count' })))).map(({ port }) =>
      Number(port),
    );
    const own = ownAddresses().map((address) => ({ address, port: here }));
    const beside = { address: await addressOf(neighbour), port: there };
    // That each counter counts is shown by who may send to it.
    await askOnce(undefined, { ask: 'knock', word: permitted, udp: own.slice(0, 1), tcp: [] }, signal);
    await askOnce(namespaceOf(neighbour), { ask: 'knock', word: permitted, udp: [beside], tcp: [] }, signal);
    const foreign = [...(await gateways()), metadata].flatMap((address) => [53, 80].map((port) => ({ address, port })));
    const tcp = [...own.map(({ address }) => ({ address, port: 22 })), ...foreign];
    const udp = [...own, beside];
    const { reached } = await askOnce(inside, { ask: 'knock', word: forbidden, udp, tcp }, signal);
    const counted = await Promise.all(counters.map((counter) => counter.end()));
    return {
      knocked: new Set([...udp, ...tcp].map(({ address }) => address)).size,
      answered: reached as string[],
      arrived: counted.reduce((sum, received) => sum + Number(received[forbidden] ?? 0), 0),
      countersCount: counted.every((received) => Number(received[permitted] ?? 0) > 0),
    };
  } finally {
    for (const counter of counters) counter.kill();
  }
}

function namespaceOf({ pid }: ProbedContainer): string {
  return `/proc/${pid}/ns/net`;
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
}

/** One to which no link of this machine leads: the walls close those. */
async function chooseSink(): Promise<string> {
  for (const address of probeSinks) {
    const text = await runCommand('ip', ['-json', '-4', 'route', 'get', address]).catch(() => '[{"gateway":"none"}]');
    const [route] = JSON.parse(text) as { gateway?: string }[];
    if (route?.gateway !== undefined) return address;
  }
  throw new Error('this machine is directly on every network that is for examples only: there is nowhere to send to');
}

async function gateways(): Promise<string[]> {
  const routes = JSON.parse(await runCommand('ip', ['-json', '-4', 'route', 'show', 'default'])) as { gateway?: string }[];
  return routes.flatMap(({ gateway }) => gateway ?? []);
}

async function addressOf(container: ProbedContainer): Promise<string> {
  const inside = [`--net=${namespaceOf(container)}`, 'ip', '-json', '-4', 'address', 'show', 'dev', 'eth0'];
  const [link] = JSON.parse(await runCommand('nsenter', inside)) as { addr_info?: { local?: string }[] }[];
  const address = link?.addr_info?.[0]?.local;
  if (address === undefined) throw new Error('the container of the probe has no address');
  return address;
}

type Answer = Record<string, unknown>;

async function askOnce(namespace: string | undefined, question: NetworkQuestion, signal: AbortSignal): Promise<Answer> {
  const asker = new Asker(namespace, signal);
  try {
    return await asker.ask(question);
  } finally {
    asker.kill();
  }
}

/** A process of {@link program} in a namespace. */
class Asker {
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: string | undefined, signal: AbortSignal) {
    const own = [process.execPath, program];
    const [command = '', ...args] = namespace === undefined ? own : ['nsenter', `--net=${namespace}`, ...own];
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: searchPath() },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      killSignal: 'SIGKILL',
    });
    // That it ended without an answer says the same.
    this.#child.on('error', () => undefined);
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(question: NetworkQuestion): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    return this.#answer();
  }

  /** For one that counts: what it counted. */
  async end(): Promise<Answer> {
    this.#child.stdin.end();
    return this.#answer();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #answer(): Promise<Answer> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('a process of the network probe ended without an answer');
    return JSON.parse(line.value) as Answer;
  }
}
