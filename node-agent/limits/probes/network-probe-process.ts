/**
 * What the network probe does inside of a network namespace that is not the agent's: floods an address, knocks at others, or counts what comes.
 * Reads a question from standard input, one line of JSON, and answers one. A counter first says `{"port":…}` and answers when its input ends.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { NetworkQuestion, Target } from './probe-network.ts';

const datagramBytes = 1_200;
const pauseMs = 2;
const knocks = 3;
const tcpTimeoutMs = 1_000;

interface Flood {
  sentBytes: number;
  seconds: number;
  /** Milliseconds since the epoch, for who measures on the same machine. */
  startedAtMs: number;
}

async function flood({ address, port }: Target, bitsPerSecond: number, seconds: number): Promise<Flood> {
  const socket = createSocket('udp4');
  // What cannot be sent does not count.
  socket.on('error', () => undefined);
  const datagram = Buffer.alloc(datagramBytes);
  const startedAtMs = Date.now();
  const startedMs = performance.now();
  const elapsed = (): number => (performance.now() - startedMs) / 1000;
  let sentBytes = 0;
  while (elapsed() < seconds) {
    for (; sentBytes * 8 < elapsed() * bitsPerSecond; sentBytes += datagramBytes) socket.send(datagram, port, address);
    await delay(pauseMs);
  }
  const took = elapsed();
  socket.close();
  return { sentBytes, seconds: took, startedAtMs };
}

/** Answers those that somebody answered at: that refused counts, since it was asked. */
async function knockAt(word: string, udp: readonly Target[], tcp: readonly Target[]): Promise<{ reached: string[] }> {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  for (let knock = 0; knock < knocks; knock += 1) {
    for (const { address, port } of udp) socket.send(word, port, address, () => undefined);
    await delay(50);
  }
  const answers = await Promise.all(tcp.map(async (target) => ((await answersTcp(target)) ? [`${target.address}:${target.port}`] : [])));
  socket.close();
  return { reached: answers.flat() };
}

async function answersTcp({ address, port }: Target): Promise<boolean> {
  const socket = connect({ host: address, port, timeout: tcpTimeoutMs });
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('timeout', () => resolve(false));
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED' || code === 'ECONNRESET'));
    });
  } finally {
    socket.destroy();
  }
}

const input = createInterface({ input: process.stdin });
const say = (answer: object): unknown => process.stdout.write(`${JSON.stringify(answer)}\n`);
const [line] = (await once(input, 'line')) as [string];
const question = JSON.parse(line) as NetworkQuestion;
switch (question.ask) {
  case 'flood':
    say(await flood(question.target, question.bitsPerSecond, question.seconds));
    break;
  case 'knock':
    say(await knockAt(question.word, question.udp, question.tcp));
    break;
  case 'count': {
    const socket = createSocket('udp4');
    const received: Record<string, number> = {};
    socket.on('message', (message) => {
      const word = message.toString('latin1').slice(0, 16);
      received[word] = (received[word] ?? 0) + 1;
    });
    socket.bind(0, () => say({ port: socket.address().port }));
    await once(input, 'close');
    socket.close();
    say(received);
  }
}
process.exit(0);
