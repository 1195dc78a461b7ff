/**
 * What the last run of a container wrote, kept when the container is thrown away for a new one: the end of it, one file for each instance. The
 * engine bounds what it keeps itself.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../runtime/logger.ts';
import type { ContainerAccess } from '../engine/container-access.ts';
import { readMessages, type LogMessage } from './log-messages.ts';

export interface KeptLogsOptions {
  access: ContainerAccess;
  /** `agent/logs`. */
  directory: string;
  logger: Logger;
  /** Of one instance; 1 MiB when absent. */
  maxBytes?: number;
}

const defaultMaxBytes = 1024 * 1024;
const keepMs = 10_000;

export class KeptLogs {
  readonly #options: KeptLogsOptions;

  constructor(options: KeptLogsOptions) {
    this.#options = options;
  }

  /** Resolves when they are kept, or cannot be: that is logged, and nothing waits for it. */
  async keep(instanceUid: string, containerId: string, sinceNanos: bigint): Promise<void> {
    const { access, directory, logger } = this.#options;
    try {
      const log = await access.logs(containerId, { follow: false, sinceNanos }, AbortSignal.timeout(keepMs));
      const lines = await this.#lastOf(readMessages(log));
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const path = this.#path(instanceUid);
      const file = await open(`${path}.new`, 'w', 0o600);
      for (const line of lines) await file.write(line);
      await file.close();
      await rename(`${path}.new`, path);
    } catch (error) {
      logger.warn('the logs of a container that goes cannot be kept', { containerId, error });
    }
  }

  /** Undefined when there are none. */
  async read(instanceUid: string): Promise<LogMessage[] | undefined> {
    const text = await readFile(this.#path(instanceUid)).catch(() => undefined);
    if (text === undefined) return undefined;
    const messages: LogMessage[] = [];
    for (let offset = 0; offset + 4 <= text.length;) {
      const { time, nanos, content } = JSON.parse(text.toString('utf8', offset + 4, offset + 4 + text.readUInt32BE(offset))) as Kept;
      messages.push({ time, nanos: BigInt(nanos), content: Buffer.from(content, 'base64') });
      offset += 4 + text.readUInt32BE(offset);
    }
    return messages;
  }

  async drop(instanceUid: string): Promise<void> {
    await rm(this.#path(instanceUid), { force: true });
  }

  async #lastOf(messages: AsyncIterable<LogMessage>): Promise<Buffer[]> {
    const { maxBytes = defaultMaxBytes } = this.#options;
    let kept: Buffer[] = [];
    let bytes = 0;
    let first = 0;
    for await (const { time, nanos, content } of messages) {
      const text = Buffer.from(JSON.stringify({ time, nanos: String(nanos), content: content.toString('base64') } satisfies Kept));
      const head = Buffer.alloc(4);
      head.writeUInt32BE(text.length);
      kept.push(Buffer.concat([head, text]));
      bytes += text.length + 4;
      while (bytes > maxBytes && first < kept.length) {
        bytes -= kept[first]?.length ?? 0;
        first += 1;
      }
      // What was let go is taken out of the list now and then.
      if (first <= 1024) continue;
      kept = kept.slice(first);
      first = 0;
    }
    return kept.slice(first);
  }

  #path(instanceUid: string): string {
    return join(this.#options.directory, `${instanceUid}.log`);
  }
}

interface Kept {
  time: string;
  nanos: string;
  content: string;
}
