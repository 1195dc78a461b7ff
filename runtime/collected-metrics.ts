/** Metrics that are read off when somebody asks, where something else keeps the numbers. */
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/** One metric with all its present values. */
export interface MetricFamily {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  labelNames: readonly string[];
}

export interface MetricSample {
  name: string;
  /** Only names that the family declares. */
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** Serves the families from what `collect` answers at each scrape; what it no longer names vanishes. `collect` runs once for each scrape. */
export function addCollectedMetrics(registry: Registry, families: readonly MetricFamily[], collect: () => readonly MetricSample[]): void {
  let samples = new Map<string, MetricSample[]>();
  families.forEach(({ type, labelNames, ...names }, index) => {
    const common = { ...names, labelNames: [...labelNames], registers: [registry] };
    const refresh = (): MetricSample[] => {
      // They are asked in the order in which they were registered.
      if (index === 0) samples = Map.groupBy(collect(), ({ name }) => name);
      return samples.get(names.name) ?? [];
    };
    if (type === 'counter') {
      new Counter({
        ...common,
        collect() {
          this.reset();
          for (const { labels, value } of refresh()) this.inc({ ...labels }, value);
        },
      });
    } else {
      new Gauge({
        ...common,
        collect() {
          this.reset();
          for (const { labels, value } of refresh()) this.set({ ...labels }, value);
        },
      });
    }
  });
}
