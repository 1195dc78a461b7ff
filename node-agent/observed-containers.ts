/** The agent's view of its containers: listed once and after every gap, and looked up one by one when something happened. */
import { instanceUidLabel } from '../api/names.ts';
import type { Engine, ObservedContainer } from './engine/engine.ts';
import { containerName } from './plan/converge.ts';

/** What was listed so recently need not be looked up again. */
const freshMs = 2_000;

export class ObservedContainers {
  /** By instance uid. */
  readonly byInstance = new Map<string, readonly ObservedContainer[]>();
  readonly #engine: Engine;
  readonly #providerUid: string;
  /** By instance uid, when its containers were listed; until the first look, or until something happens to them. */
  readonly #listedAtMs = new Map<string, number>();

  constructor(engine: Engine, providerUid: string) {
    this.#engine = engine;
    this.#providerUid = providerUid;
  }

  async listAll(): Promise<void> {
    const beganMs = performance.now();
    const containers = await this.#engine.listContainers(this.#providerUid);
    const grouped = Map.groupBy(containers, ({ labels }) => labels[instanceUidLabel] ?? '');
    grouped.delete('');
    this.#listedAtMs.clear();
    for (const uid of this.byInstance.keys()) if (!grouped.has(uid)) this.byInstance.delete(uid);
    for (const [uid, group] of grouped) {
      this.byInstance.set(uid, group);
      this.#listedAtMs.set(uid, beganMs);
    }
  }

  /** Something happened: the next look is a real one. */
  distrust(uid: string): void {
    this.#listedAtMs.delete(uid);
  }

  /** What is known of the instance, and what bears the name that its container has. */
  async look(uid: string): Promise<void> {
    const listedAtMs = this.#listedAtMs.get(uid);
    this.#listedAtMs.delete(uid);
    if (listedAtMs !== undefined && performance.now() - listedAtMs < freshMs) return;
    const known = (this.byInstance.get(uid) ?? []).map(({ id }) => id);
    const seen = new Map<string, ObservedContainer>();
    for (const reference of [containerName(uid), ...known]) {
      if (seen.has(reference)) continue;
      const container = await this.#engine.inspectContainer(reference);
      if (container !== undefined) seen.set(container.id, container);
    }
    if (seen.size === 0) this.byInstance.delete(uid);
    else this.byInstance.set(uid, [...seen.values()]);
  }
}
