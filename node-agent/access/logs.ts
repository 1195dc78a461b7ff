/**
 * Streams of kind `logs`: what an instance wrote since it was last started, or in its run before. Followed, a log goes on with the next run, for as long
 * as there is to be one.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../../api/generated/instance.ts';
import { conditionTypes } from '../../api/reasons.ts';
import { findCondition } from '../../api/conditions.ts';
import type { LogParameters } from '../../api/stream-protocol.ts';
import type { ContainerAccess } from '../engine/container-access.ts';
import type { ObservedContainer } from '../engine/engine.ts';
import type { ContainerEnd } from '../plan/world.ts';
import { StreamRefusal, type StreamHandler } from '../tunnel/stream-handler.ts';
import type { KeptLogs } from './kept-logs.ts';
import { nanosOf, nanosOfMs, readMessages, type LogMessage } from './log-messages.ts';
import { LogWriter } from './log-writer.ts';
import { refusalOf } from './refuse.ts';

/** What the agent knows of its instances, as of now. */
export interface LogWorld {
  instance: (uid: string) => Instance | undefined;
  containers: (uid: string) => readonly ObservedContainer[];
  /** Of the run before this one. */
  lastEnd: (uid: string) => ContainerEnd | undefined;
}

export interface LogHandlerOptions {
  access: ContainerAccess;
  kept: KeptLogs;
  world: LogWorld;
}

const pollMs = 200;
/** The engine's stream broke although the container runs: it restarts. */
const brokenMs = 2_000;

export function createLogHandler({ access, kept, world }: LogHandlerOptions): StreamHandler {
  return async ({ instance, container, parameters, accept, signal }) => {
    const asked = parameters as LogParameters;
    const uid = instance.metadata.uid ?? '';
    const source = asked.previous === true ? await previousRun(uid) : await presentRun();
    const first = await source(signal).catch((error: unknown) => {
      throw refusalOf(error);
    });
    const out = accept();
    const writer = new LogWriter(out, signal, asked);
    let present = container;
    let sinceNanos = 0n;
    const copy = async (messages: AsyncIterable<LogMessage>): Promise<void> => {
      for await (const message of messages) {
        await writer.write(message);
        sinceNanos = message.nanos + 1n;
        if (writer.isDone || signal.aborted) return;
      }
    };
    // The engine may go in the middle; what comes after is read anew.
    await copy(first).catch(() => undefined);
    while (asked.follow === true && asked.previous !== true && !writer.isDone && present !== undefined) {
      const next = await nextRun(uid, present, signal);
      if (next === undefined) break;
      if (next.id !== present.id) sinceNanos = 0n;
      present = next;
      const log = await access.logs(next.id, { follow: true, sinceNanos }, signal).catch(() => undefined);
      if (log !== undefined) await copy(readMessages(log)).catch(() => undefined);
    }
    if (out.writable) out.end();

    async function presentRun(): Promise<Source> {
      if (container === undefined) throw new StreamRefusal(409, `${instance.metadata.name ?? ''} has not started yet: ${whyOf(instance)}`);
      const runNanos = nanosOfMs(container.startedAtMs ?? 0);
      const since = laterOf(runNanos, sinceOf(asked));
      const tail = asked.tailLines === undefined ? {} : { tail: asked.tailLines };
      const range = { follow: asked.follow === true, sinceNanos: since, ...tail };
      return Promise.resolve(async (abort) => readMessages(await access.logs(container.id, range, abort)));
    }

    async function previousRun(of: string): Promise<Source> {
      const end = world.lastEnd(of);
      const name = instance.metadata.name ?? '';
      const notThere = new StreamRefusal(400, `previous terminated container "instance" in pod ${JSON.stringify(name)} not found`);
      const after = sinceOf(asked);
      if (end !== undefined && end.containerId === container?.id) {
        const range = {
          follow: false,
          sinceNanos: laterOf(nanosOfMs(end.startedAtMs ?? 0), after),
          untilNanos: nanosOfMs(container.startedAtMs ?? Date.now()) - 1n,
        };
        return async (abort) => lastLines(() => access.logs(container.id, range, abort), asked.tailLines);
      }
      const messages = await kept.read(of);
      if (messages === undefined) throw notThere;
      const shown = messages.filter(({ nanos }) => nanos >= after);
      const count = asked.tailLines ?? shown.length;
      return () => Promise.resolve(iterate(count === 0 ? [] : shown.slice(-count)));
    }
  };

  /** Waits for the next start. Undefined when there is to be none, or nobody waits any more. */
  async function nextRun(uid: string, last: ObservedContainer, signal: AbortSignal): Promise<ObservedContainer | undefined> {
    const beganAt = performance.now();
    while (await delay(pollMs, true, { signal }).catch(() => false)) {
      const running = world.containers(uid).find(({ state }) => state === 'running');
      const isNew = running !== undefined && (running.id !== last.id || running.startedAtMs !== last.startedAtMs);
      if (isNew || (running !== undefined && performance.now() - beganAt > brokenMs)) return running;
      if (running === undefined && !isToRun(world.instance(uid))) return undefined;
    }
    return undefined;
  }
}

type Source = (signal: AbortSignal) => Promise<AsyncIterable<LogMessage>>;

/** The log of a range cannot be asked for its last lines: it is read twice, so that nothing of it is kept. */
async function lastLines(
  open: () => ReturnType<ContainerAccess['logs']>,
  tailLines: number | undefined,
): Promise<AsyncIterable<LogMessage>> {
  if (tailLines === undefined) return readMessages(await open());
  let count = 0;
  for await (const { content } of readMessages(await open())) if (content.at(-1) === 0x0a) count += 1;
  return skipLines(readMessages(await open()), count - tailLines);
}

async function* skipLines(messages: AsyncIterable<LogMessage>, lines: number): AsyncGenerator<LogMessage, void, void> {
  let left = lines;
  for await (const message of messages) {
    if (left <= 0) yield message;
    else if (message.content.at(-1) === 0x0a) left -= 1;
  }
}

async function* iterate(messages: readonly LogMessage[]): AsyncGenerator<LogMessage, void, void> {
  for (const message of messages) yield await Promise.resolve(message);
}

function isToRun(instance: Instance | undefined): boolean {
  if (instance === undefined || instance.metadata.deletionTimestamp !== undefined || instance.spec.powerState === 'Stopped') return false;
  const { phase } = instance.status ?? {};
  return phase !== 'Succeeded' && phase !== 'Failed';
}

function whyOf(instance: Instance): string {
  return findCondition(instance.status?.conditions, conditionTypes.ready)?.message ?? 'its container is not there';
}

function sinceOf({ sinceSeconds, sinceTime }: LogParameters): bigint {
  if (typeof sinceSeconds === 'number') return nanosOfMs(Date.now() - sinceSeconds * 1000);
  return typeof sinceTime === 'string' ? nanosOf(new Date(sinceTime).toISOString()) : 0n;
}

function laterOf(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
