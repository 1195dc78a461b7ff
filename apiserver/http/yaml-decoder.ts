/**
 * Reads YAML bodies. Small ones at once; others, which may keep a processor busy for seconds, in a thread of their own, one after the other, so
 * that requests of others go on. Clients that send JSON, as kubectl always does, wait for none of this.
 */
import { Worker } from 'node:worker_threads';
import { decodeYaml } from '../admission/decode-yaml.ts';
import { JsonSyntaxError } from '../admission/scan-json.ts';
import type { DecodedBody, DecodeOptions } from '../admission/strict-json.ts';
import { decodeStrictJson } from '../admission/strict-json.ts';
import { StatusError } from '../registry/status-error.ts';

export interface YamlJob {
  body: Uint8Array;
  options: DecodeOptions;
}

export type YamlAnswer = { decoded: DecodedBody } | { problem: string };

export interface YamlLimits {
  /** Bodies up to this size are read at once: a few milliseconds at worst. */
  inlineBytes: number;
  /** For one body. */
  longestMs: number;
  /** Bodies that may wait for the thread. */
  mostWaiting: number;
}

export const defaultYamlLimits: YamlLimits = { inlineBytes: 4096, longestMs: 5000, mostWaiting: 8 };

const workerFile = new URL('./yaml-worker.ts', import.meta.url);
const workerMemory = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 };
const openBrace = 0x7b;

export class YamlDecoder {
  readonly #limits: YamlLimits;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(limits: YamlLimits = defaultYamlLimits) {
    this.#limits = limits;
  }

  /** Throws JsonSyntaxError for what cannot be read, and 429 when too many wait. */
  async decode(body: Buffer, options: DecodeOptions = {}): Promise<DecodedBody> {
    if (body.length <= this.#limits.inlineBytes) return decodeYaml(body, options);
    const decoded = decodeIfJson(body, options);
    if (decoded !== undefined) return decoded;
    if (this.#waiting >= this.#limits.mostWaiting) throw tooMany();
    this.#waiting += 1;
    const turn = this.#last.then(() => runWorker({ body, options }, this.#limits.longestMs));
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }
}

/** JSON is YAML, and what clients send as `application/apply-patch+yaml` is mostly that. */
function decodeIfJson(body: Buffer, options: DecodeOptions): DecodedBody | undefined {
  if (body[0] !== openBrace) return undefined;
  try {
    return decodeStrictJson(body, options);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined;
    throw error;
  }
}

async function runWorker(job: YamlJob, longestMs: number): Promise<DecodedBody> {
  const { promise, resolve, reject } = Promise.withResolvers<YamlAnswer>();
  const worker = new Worker(workerFile, { workerData: job, resourceLimits: workerMemory });
  worker.unref();
  const timer = setTimeout(() => resolve({ problem: `yaml: not read within ${longestMs / 1000} s; send JSON instead` }), longestMs);
  worker.once('message', resolve);
  worker.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') resolve({ problem: 'yaml: too large to be read; send JSON instead' });
    else reject(error);
  });
  try {
    const answer = await promise;
    if ('problem' in answer) throw new JsonSyntaxError(answer.problem);
    return answer.decoded;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

function tooMany(): StatusError {
  return new StatusError({
    message: 'too many YAML bodies wait to be read: try again in a second, or send JSON',
    reason: 'TooManyRequests',
    details: { retryAfterSeconds: 1 },
    code: 429,
  });
}
