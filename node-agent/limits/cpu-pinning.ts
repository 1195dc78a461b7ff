/**
 * Which logical processors each instance may run on. Who asks for whole cores and no more than those gets whole physical cores to itself,
 * with their SMT siblings, so that no two instances share a core's caches and speculation (L1TF, MDS); all others share what is left.
 * Pure. After Kubernetes' static CPU manager policy with `full-pcpus-only`.
 */
import type { CpuTopology } from '../inventory/cpu-topology.ts';
import { formatCpuSet, parseCpuSet } from './cpu-set.ts';

export interface CpuDemand {
  uid: string;
  /** Thousandths of a logical processor. */
  requestMillis: number;
  limitMillis: number;
  /** What the instance may run on now, as the kernel writes it; empty when it does not run yet. */
  current: string;
}

export interface CpuPlan {
  /** By uid; every demand has one. */
  cpusets: ReadonlyMap<string, string>;
  /** Of those, the uids that have their processors to themselves. */
  pinned: ReadonlySet<string>;
}

type Core = CpuTopology['cores'][number];

/**
 * The machine's first core is never given away: it is its owner's, and always among those that are shared. Cores that an instance has to
 * itself stay its own; new ones get the highest that are free. No more cores are given away than leaves the others' requests fitting on
 * the rest: who comes too late shares, and is pinned when cores come free.
 */
export function planCpus(topology: CpuTopology, demands: readonly CpuDemand[]): CpuPlan {
  const free = new Set(topology.cores);
  const givable = topology.cores.slice(1);
  let othersMillis = demands.reduce((sum, demand) => sum + demand.requestMillis, 0);
  const cpusets = new Map<string, string>();
  const pinned = new Set<string>();

  for (const demand of demands.filter(wantsWholeCores).sort(ownersFirst(givable))) {
    const chosen = chooseCores(
      demand,
      givable.filter((core) => free.has(core)),
    );
    if (chosen === undefined) continue;
    const leftMillis = (threadsOf(free).length - threadsOf(chosen).length) * 1000;
    if (leftMillis < othersMillis - demand.requestMillis) continue;
    for (const core of chosen) free.delete(core);
    othersMillis -= demand.requestMillis;
    pinned.add(demand.uid);
    cpusets.set(demand.uid, formatCpuSet(threadsOf(chosen)));
  }

  const shared = formatCpuSet(threadsOf(free));
  for (const { uid } of demands) if (!cpusets.has(uid)) cpusets.set(uid, shared);
  return { cpusets, pinned };
}

function threadsOf(cores: Iterable<Core>): number[] {
  return [...cores].flatMap(({ threads }) => threads);
}

/** A limit above the request could never be reached on the requested cores alone. */
function wantsWholeCores({ requestMillis, limitMillis }: CpuDemand): boolean {
  return requestMillis > 0 && requestMillis % 1000 === 0 && limitMillis === requestMillis;
}

/** The cores that make up exactly what the demand runs on now; empty when there are none such. */
function ownCores(demand: CpuDemand, cores: readonly Core[]): Core[] {
  const current = parseCpuSet(demand.current);
  const own = cores.filter(({ threads }) => threads.every((thread) => current.includes(thread)));
  return threadsOf(own).length === current.length ? own : [];
}

/** Who has cores of its own comes first, so that nobody is moved for a newcomer; then by uid, so that the order of listing never counts. */
function ownersFirst(cores: readonly Core[]): (a: CpuDemand, b: CpuDemand) => number {
  const rank = (demand: CpuDemand): number => (ownCores(demand, cores).length > 0 ? 0 : 1);
  return (a, b) => rank(a) - rank(b) || (a.uid < b.uid ? -1 : 1);
}

/** Cores that together have the threads, its own ones first; undefined when there are not enough. */
function chooseCores(demand: CpuDemand, available: readonly Core[]): Core[] | undefined {
  const wanted = demand.requestMillis / 1000;
  const left = new Set(available);
  const chosen: Core[] = [];
  for (const own of [true, false]) {
    const candidates = own ? ownCores(demand, available) : available;
    for (let missing = wanted - threadsOf(chosen).length; missing > 0; missing = wanted - threadsOf(chosen).length) {
      const core = bestFit(
        candidates.filter((candidate) => left.has(candidate)),
        missing,
      );
      if (core === undefined) break;
      left.delete(core);
      chosen.push(core);
    }
  }
  return threadsOf(chosen).length >= wanted ? chosen : undefined;
}

/** The largest core that is not too large, else the smallest; of equal ones the highest. */
function bestFit(cores: readonly Core[], threads: number): Core | undefined {
  const waste = ({ threads: { length } }: Core): number => (length <= threads ? threads - length : length * 1000);
  return cores.reduce<Core | undefined>((best, core) => (best === undefined || waste(core) <= waste(best) ? core : best), undefined);
}
