/** Messages of a container's log, as the engine has them: each behind its time. */
import type { Readable } from 'node:stream';
import { DockerOutputDecoder } from '../engine/docker-output.ts';

export interface LogMessage {
  /** RFC 3339 with nanoseconds. */
  time: string;
  nanos: bigint;
  /** A line with its end, or a part of a long one. */
  content: Buffer;
}

const space = 0x20;

/** Ends with the log, or with the engine. */
export async function* readMessages(log: Readable): AsyncGenerator<LogMessage, void, void> {
  const decoder = new DockerOutputDecoder();
  for await (const bytes of log as AsyncIterable<Buffer>) {
    for (const { content } of decoder.push(bytes)) yield messageOf(content);
  }
}

function messageOf(content: Buffer): LogMessage {
  const end = content.indexOf(space);
  const time = content.toString('latin1', 0, end);
  return { time, nanos: nanosOf(time), content: content.subarray(end + 1) };
}

/** Nanoseconds since the epoch of a time in UTC. */
export function nanosOf(time: string): bigint {
  const [whole = '', fraction = ''] = time.replace(/Z$/u, '').split('.');
  const ms = Date.parse(`${whole}Z`);
  return Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
}

export function nanosOfMs(ms: number): bigint {
  return BigInt(Math.trunc(ms)) * 1_000_000n;
}
