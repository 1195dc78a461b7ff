/**
 * Keeps the rules of ClusterRoles with an aggregationRule equal to those of the roles that they gather. It runs in every API server, beside what
 * evaluates them: rights do not depend on a controller being up, and no controller needs the verb `escalate`. Servers meet in compare-and-set.
 */
import { matchesLabelSelector } from '../../../api/selector.ts';
import type { Logger } from '../../../runtime/logger.ts';
import { canonicalJson, equalJson } from '../../admission/json-value.ts';
import { ownWrite } from '../../registry/definition-controller.ts';
import type { ResourceOperations } from '../../registry/resource.ts';
import { StatusError } from '../../registry/status-error.ts';
import type { CacheWatcher, WatchCache } from '../../registry/watch-cache.ts';
import { rulesOf, type PolicyRule, type RoleObject } from './policy.ts';

const firstRetryMs = 50;
const longestRetryMs = 5_000;

export interface AggregatedRolesOptions {
  cache: WatchCache;
  clusterRoles: ResourceOperations;
  logger: Logger;
}

export class AggregatedRoles {
  readonly #options: AggregatedRolesOptions;
  readonly #watcher: CacheWatcher = { onChange: () => this.#wake(), onEnd: () => undefined };
  #running: Promise<void> | undefined;
  #isStale = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AggregatedRolesOptions) {
    this.#options = options;
  }

  /** Resolves after the first pass; from then on every change of a ClusterRole leads to another one. */
  async start(): Promise<void> {
    this.#options.cache.follow(this.#watcher);
    this.#wake();
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.cache.unwatch(this.#watcher);
    clearTimeout(this.#timer);
    await this.#running;
  }

  #wake(): void {
    if (this.#closed) return;
    this.#isStale = true;
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async #work(): Promise<void> {
    // What woke this may still be telling others.
    await Promise.resolve();
    while (this.#isStale && !this.#closed) {
      this.#isStale = false;
      try {
        await this.#pass();
        this.#failures = 0;
      } catch (error) {
        this.#retry(error);
      }
    }
  }

  async #pass(): Promise<void> {
    const { cache, clusterRoles } = this.#options;
    const roles = cache.list(cache.prefix).map(({ key }) => cache.latest(key)?.object as RoleObject | undefined);
    const present = roles.filter((role) => role !== undefined);
    for (const role of present) {
      const rules = gatheredRules(role, present);
      if (rules === undefined || equalJson(rules, rulesOf(role))) continue;
      await clusterRoles.update({ name: role.metadata.name ?? '' }, { ...role, rules }, ownWrite());
      // Roles that gather this one come next, when the watch brings it.
    }
  }

  #retry(error: unknown): void {
    // Another writer came first: the watch brings the news, and the retry is only a net below it.
    const isRace = error instanceof StatusError && (error.code === 409 || error.code === 404);
    if (!isRace) this.#options.logger.warn('Rules of aggregated ClusterRoles could not be written; trying again', { error });
    const delayMs = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs);
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), delayMs);
  }
}

/**
 * The rules that `role` should have, each once, in the order of the selectors and then of the names; undefined when it gathers nothing. Pure.
 * After Kubernetes' `pkg/controller/clusterroleaggregation`.
 */
export function gatheredRules(role: RoleObject, all: readonly RoleObject[]): PolicyRule[] | undefined {
  const selectors = role.aggregationRule?.clusterRoleSelectors ?? [];
  if (selectors.length === 0) return undefined;
  const sorted = [...all].sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const selector of selectors) {
    for (const other of sorted) {
      if (other.metadata.name === role.metadata.name || !matchesLabelSelector(selector, other.metadata.labels)) continue;
      for (const rule of rulesOf(other)) {
        const key = canonicalJson(rule);
        if (!rules.has(key)) rules.set(key, rule);
      }
    }
  }
  return [...rules.values()];
}
