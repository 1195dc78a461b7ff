/** Measures every running instance every ten seconds, and decides what of it the API is told. */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import type { ObservedContainer } from '../engine/engine.ts';
import { openCounters } from './container-counters.ts';
import type { ContainerCounters, CounterSource } from './container-counters.ts';
import { firstReading, isNews, sumUsage, usageOf, withReading } from './usage-rate.ts';
import type { Reading, ReportedUsage, Usage } from './usage-rate.ts';

export interface UsageMonitorOptions {
  /** `/`, or a recorded tree. */
  root: string;
  /** As the engine has them now, running or not. */
  containers: () => readonly ObservedContainer[];
  /** What the container wrote to its own layer; undefined when not measured yet. */
  diskBytes: (containerId: string) => number | undefined;
  /** What {@link UsageMonitor.told} answers for the container changed. */
  onNews: (containerId: string) => void;
  /** What {@link UsageMonitor.toldTotal} answers changed. */
  onTotalNews: () => void;
  /** 10 s when absent. */
  intervalMs?: number;
}

/** The latest of one running container, for metrics. */
export interface MeasuredContainer {
  container: ObservedContainer;
  /** As the kernel names it. */
  cgroup: string;
  counters: ContainerCounters;
  /** Milliseconds since the epoch. */
  measuredAtMs: number;
}

const defaultIntervalMs = 10_000;
/** Containers that are read before others get their turn: about a millisecond's worth. */
const readAtOnce = 4;

interface Run {
  startedAtMs: number;
  source: CounterSource;
  readings: Reading[];
  latest?: MeasuredContainer;
}

interface Told {
  usage: ReportedUsage;
  atMs: number;
}

export class UsageMonitor {
  /** CPU time spent on measuring, in seconds. */
  samplingSeconds = 0;
  readonly #options: UsageMonitorOptions;
  readonly #runs = new Map<string, Run>();
  readonly #told = new Map<string, Told>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #toldTotal: Told | undefined;
  /** Of containers that are gone: totals never go back. */
  #goneTraffic = { ingressBytes: 0, egressBytes: 0 };

  constructor(options: UsageMonitorOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** What the API should say of the container; the same until there is news. */
  told(containerId: string): ReportedUsage | undefined {
    return this.#told.get(containerId)?.usage;
  }

  /** Of all instances together; traffic is counted from the agent's start. Undefined before the first round. */
  toldTotal(): ReportedUsage | undefined {
    return this.#toldTotal?.usage;
  }

  measured(): MeasuredContainer[] {
    return [...this.#runs.values()].flatMap(({ latest }) => latest ?? []);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const intervalMs = this.#options.intervalMs ?? defaultIntervalMs;
    while (await delay(intervalMs, true, { signal }).catch(() => false)) await this.#round();
  }

  async #round(): Promise<void> {
    const containers = this.#options.containers();
    this.#forget(new Map(containers.map((container) => [container.id, container])));
    for (const [index, container] of containers.entries()) {
      const startedMs = performance.now();
      this.#measure(container);
      this.samplingSeconds += (performance.now() - startedMs) / 1000;
      if (index % readAtOnce === readAtOnce - 1) await turn();
      if (this.#stopping.signal.aborted) return;
    }
    this.#tell(containers);
  }

  /** What is gone, and runs that ended. */
  #forget(present: ReadonlyMap<string, ObservedContainer>): void {
    for (const id of this.#told.keys()) if (!present.has(id)) this.#told.delete(id);
    for (const [id, run] of this.#runs) {
      const container = present.get(id);
      if (container?.pid !== undefined && container.startedAtMs === run.startedAtMs) continue;
      this.#runs.delete(id);
      const usage = usageOf(run.readings, 0);
      this.#goneTraffic.ingressBytes += usage?.ingressBytes ?? 0;
      this.#goneTraffic.egressBytes += usage?.egressBytes ?? 0;
    }
  }

  #measure(container: ObservedContainer): void {
    const { pid, startedAtMs = 0, id } = container;
    if (pid === undefined) return;
    let run = this.#runs.get(id);
    if (run === undefined) {
      const source = openCounters(this.#options.root, { pid, containerId: id });
      if (source === undefined) return;
      run = { startedAtMs, source, readings: firstReading(performance.now(), Date.now() - startedAtMs) };
      this.#runs.set(id, run);
    }
    const counters = run.source.read();
    if (counters === undefined) return;
    run.readings = withReading(run.readings, { atMs: performance.now(), counters });
    run.latest = { container, cgroup: run.source.cgroup, counters, measuredAtMs: Date.now() };
  }

  #tell(containers: readonly ObservedContainer[]): void {
    const nowMs = performance.now();
    const all: Usage[] = [];
    let diskTotal: number | undefined;
    for (const { id, pid } of containers) {
      const run = this.#runs.get(id);
      const now = run === undefined ? undefined : usageOf(run.readings, run.latest?.measuredAtMs ?? 0);
      // Between a start and the first rate, what was said stays.
      const running = now ?? (pid === undefined ? undefined : this.#told.get(id)?.usage.running);
      const diskBytes = this.#options.diskBytes(id);
      if (running !== undefined) all.push(running);
      if (diskBytes !== undefined) diskTotal = (diskTotal ?? 0) + diskBytes;
      const usage = { ...(running === undefined ? {} : { running }), ...(diskBytes === undefined ? {} : { diskBytes }) };
      if (!isNews(this.#told.get(id), usage, nowMs)) continue;
      this.#told.set(id, { usage, atMs: nowMs });
      this.#options.onNews(id);
    }
    this.#tellTotal(sumUsage(all, Date.now()), diskTotal ?? 0, nowMs);
  }

  #tellTotal(sum: Usage, diskBytes: number, nowMs: number): void {
    const { ingressBytes, egressBytes } = this.#goneTraffic;
    const running = { ...sum, ingressBytes: sum.ingressBytes + ingressBytes, egressBytes: sum.egressBytes + egressBytes };
    const usage = { running, diskBytes };
    if (!isNews(this.#toldTotal, usage, nowMs)) return;
    this.#toldTotal = { usage, atMs: nowMs };
    this.#options.onTotalNews();
  }
}
