/** Keeps what is known of this machine's enforcement true: tries at the first start, daily, and when the engine or the kernel is another. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { EnforcementStatus } from '../../../api/enforcement.ts';
import { formatTime } from '../../../api/time.ts';
import type { Logger } from '../../../runtime/logger.ts';
import type { Engine, EngineInfo } from '../../engine/engine.ts';
import { enforcementStatus } from './judge-probes.ts';
import type { Findings } from './judge-probes.ts';
import type { ProbedNetwork } from './probe-network.ts';
import type { WallState } from '../../engine/walls/wall-state.ts';
import { runProbes } from './run-probes.ts';

export interface ProberOptions {
  engine: Engine;
  /** Undefined while the engine does not answer. */
  info: () => EngineInfo | undefined;
  kernelVersion: string;
  /** Of the pool's own engine. */
  network?: ProbedNetwork & { walls: Pick<WallState, 'standing' | 'reason'> };
  /** Where the findings are kept over restarts of the agent. */
  path: string;
  /** Something was found. */
  onChange(): void;
  logger: Logger;
}

interface Record {
  /** What was tried: {@link keyOf}. */
  key: string;
  probedAtMs: number;
  findings: Findings;
}

const kinds = ['cpu', 'memory', 'disk', 'pids', 'ingress', 'egress', 'isolation', 'sandbox'] as const;
const intervalMs = 24 * 3_600_000;
const lookIntervalMs = 30_000;
/** The first instances of a start come first. */
const settleMs = 2_000;

export class EnforcementProber {
  readonly #options: ProberOptions;
  readonly #stopping = new AbortController();
  #record: Record | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Undefined until this machine was tried as it is now. */
  current(): EnforcementStatus | undefined {
    const info = this.#options.info();
    const record = this.#record;
    if (record === undefined || (info !== undefined && record.key !== this.#keyOf(info))) return undefined;
    const walls = this.#options.network?.walls;
    const isolation = walls?.standing === false ? { level: 'None' as const, evidence: walls.reason } : record.findings.isolation;
    return enforcementStatus({ ...record.findings, isolation }, formatTime(record.probedAtMs));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    this.#record = await this.#readRecord();
    if (this.#record !== undefined) this.#options.onChange();
    for (let waitMs = settleMs; await delay(waitMs, true, { signal }).catch(() => false);) {
      const info = this.#options.info();
      waitMs = info === undefined ? 1_000 : lookIntervalMs;
      // Nothing starts while walls do not stand.
      if (info === undefined || this.#options.network?.walls.standing === false) continue;
      if (!isDue(this.#record, this.#keyOf(info), Date.now())) continue;
      await this.#probe(info, signal);
    }
  }

  async #probe(info: EngineInfo, signal: AbortSignal): Promise<void> {
    const { engine, network, path, logger } = this.#options;
    try {
      const findings = await runProbes({ engine, info, signal, ...(network === undefined ? {} : { network }) });
      this.#record = { key: this.#keyOf(info), probedAtMs: Date.now(), findings };
      await writeFile(`${path}.new`, JSON.stringify(this.#record), { mode: 0o600 });
      await rename(`${path}.new`, path);
      const levels = Object.fromEntries(Object.entries(findings).map(([kind, { level }]) => [kind, level]));
      logger.info('it was tried which limits bite here', levels);
      this.#options.onChange();
    } catch (error) {
      if (!signal.aborted) logger.warn('it cannot be tried yet which limits bite here', { error });
    }
  }

  #keyOf(info: EngineInfo): string {
    const { name, version, storageDriver, diskQuota, cgroupVersion, runtimes, remapped = false } = info;
    return JSON.stringify([this.#options.kernelVersion, name, version, storageDriver, diskQuota, cgroupVersion, runtimes, remapped]);
  }

  /** A file that is damaged is as good as none: it is tried again. */
  async #readRecord(): Promise<Record | undefined> {
    try {
      const { key, probedAtMs, findings } = JSON.parse(await readFile(this.#options.path, 'utf8')) as Partial<Record>;
      const isWhole =
        typeof key === 'string' && typeof probedAtMs === 'number' && kinds.every((kind) => findings?.[kind].evidence !== undefined);
      return isWhole && findings !== undefined ? { key, probedAtMs, findings } : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Also when the clock was set back to before the last time. */
export function isDue(record: Pick<Record, 'key' | 'probedAtMs'> | undefined, key: string, nowMs: number): boolean {
  return record?.key !== key || nowMs - record.probedAtMs >= intervalMs || nowMs < record.probedAtMs;
}
