import type { Client } from '../../client/client.ts';
import { formatInstances, formatProviders, readOverview } from '../pool-overview.ts';
import type { PoolPaths } from './pool-paths.ts';
import type { Progress } from './progress.ts';

export interface SummaryOptions {
  paths: PoolPaths;
  progress: Progress;
  signal: AbortSignal;
  /** Since the start. */
  seconds: number;
}

const timeoutMs = 10_000;

/** How to get in, what runs where, and what to try next. */
export async function printSummary(client: Client, { paths, progress, signal, seconds }: SummaryOptions): Promise<void> {
  const overview = await readOverview(client, { signal, timeoutMs });
  progress.note(`
The pool is ready, after ${seconds.toFixed(1)} s.

${formatProviders(overview.providers)}

${overview.instances.length === 0 ? 'No instances yet.' : formatInstances(overview.instances)}

In another terminal:
  export KUBECONFIG=${paths.kubeconfig}
Then try:
  kubectl get instances -o wide
  kubectl apply -f examples/word-count.yaml && kubectl get instances -w
  kubectl describe instance hello
  kubectl explain instance.spec

Logs are in ${paths.logs}. Ctrl-C stops everything and keeps state and disks.`);
}
