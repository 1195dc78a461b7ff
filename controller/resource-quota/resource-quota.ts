/**
 * Keeps the status of quotas true: what is bounded, and what is used. The API server adds to what is used before it stores an object; here
 * comes back what deletions set free, and what was set aside for writes that then did not happen. After Kubernetes'
 * `pkg/controller/resourcequota`.
 */
import type { KubernetesObject } from '../../api/object.ts';
import { formatKey, keyOf, parseKey } from '../../api/object.ts';
import { parseQuotaAmounts, quotaAmountsAnnotation, quotaUsage } from '../../api/quota-usage.ts';
import type { QuotaAmountSource } from '../../api/quota-usage.ts';
import { sumAmounts } from '../../api/resource-amounts.ts';
import type { ParsedAmounts } from '../../api/resource-amounts.ts';
import { resourceQuotas } from '../../api/resource-type.ts';
import type { ResourceQuota } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import type { DiscoveredType, Discovery } from '../discovery.ts';
import { typeName } from '../discovery.ts';
import { concernsQuota, judgeUsage, sameUsage } from './judge-usage.ts';

export interface ResourceQuotaOptions {
  client: Pick<Client, 'list' | 'replaceStatus'>;
  quotas: Informer<ResourceQuota>;
  /** CustomResourceDefinitions: their annotations say what is summed. */
  definitions: Informer<KubernetesObject>;
  discover: (signal: AbortSignal) => Promise<Discovery>;
  nowMs: () => number;
}

/** Index of quotas by their namespace. */
export const quotaNamespaceIndex = 'namespace';
export const namespaceOfQuota = ({ metadata }: ResourceQuota): readonly string[] => [metadata.namespace ?? ''];

/** Longer than the API server's request to its store may take, from setting an amount aside to the object's write. See decision 0005. */
const settleMs = 6_000;
/** Deletions come in crowds. */
const soonMs = 200;
const afterConflictMs = 50;
/** How long what the server serves is believed to be the same. */
const discoveryMs = 30_000;

export class ResourceQuotas implements Controller {
  readonly name = 'resource-quota';
  readonly concurrency = 2;
  readonly #options: ResourceQuotaOptions;
  /** By key, since when the present revision of the quota is known. */
  readonly #since = new Map<string, { resourceVersion: string | undefined; ms: number }>();
  #known: { discovery: Discovery; ms: number } | undefined;
  #enqueue: (key: string, delayMs?: number) => void = () => undefined;

  constructor(options: ResourceQuotaOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    this.#enqueue = enqueue;
    this.#options.definitions.onChange(() => {
      this.#known = undefined;
    });
    this.#options.quotas.onChange((key, quota, previous) => {
      if (quota === undefined) {
        this.#since.delete(key);
        return;
      }
      this.#since.set(key, { resourceVersion: quota.metadata.resourceVersion, ms: this.#options.nowMs() });
      // A change of the status alone is a write that is under way, or our own.
      const isNew = previous === undefined || !sameUsage({ hard: quota.spec?.hard ?? {} }, { hard: quota.status?.hard ?? {} });
      enqueue(key, isNew ? 0 : settleMs);
    });
  }

  /** Takes note of a change of any object, from whoever watches them all. */
  see(object: KubernetesObject | undefined, previous: KubernetesObject | undefined): void {
    const { namespace } = (object ?? previous)?.metadata ?? {};
    if (namespace === undefined || previous === undefined) return;
    if (object !== undefined && object.metadata.generation === previous.metadata.generation) return;
    for (const quota of this.#options.quotas.byIndex(quotaNamespaceIndex, namespace)) this.#enqueue(formatKey(keyOf(quota)), soonMs);
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Outcome> {
    const quota = this.#options.quotas.get(key);
    if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return settled;
    // Before anything is counted: what was set aside earlier has long been stored then.
    const since = this.#since.get(key);
    const waitMs = since === undefined ? settleMs : since.ms + settleMs - this.#options.nowMs();
    const isSettled = waitMs <= 0 && since?.resourceVersion === quota.metadata.resourceVersion;
    const counted = await this.#count(quota, parseKey(key).namespace ?? '', signal);
    const { status, isUnsettled } = judgeUsage(quota, counted, isSettled);
    const outcome = isUnsettled ? recheckAfter(Math.max(soonMs, waitMs)) : settled;
    if (sameUsage(quota.status, status)) return outcome;
    try {
      await this.#options.client.replaceStatus(resourceQuotas, { ...quota, status }, { signal });
      return outcome;
    } catch (error) {
      if (isNotFound(error)) return settled;
      if (isConflict(error)) return recheckAfter(afterConflictMs);
      throw error;
    }
  }

  async #count(quota: ResourceQuota, namespace: string, signal: AbortSignal): Promise<ParsedAmounts> {
    const { types, failures } = await this.#discover(signal);
    const [failure] = failures;
    if (failure !== undefined) throw new Error(`what ${failure.groupVersion} serves is not known: ${failure.message}`);
    const usages: ParsedAmounts[] = [];
    for (const type of types) {
      const named = { group: type.group, resource: type.plural };
      const sources = this.#sourcesOf(type);
      if (!type.namespaced || !type.verbs.includes('list') || !concernsQuota(quota, named, sources)) continue;
      const { items } = await this.#options.client.list(type, { namespace, signal });
      usages.push(...items.map((object) => quotaUsage(named, object, sources)));
    }
    return sumAmounts(usages);
  }

  async #discover(signal: AbortSignal): Promise<Discovery> {
    const nowMs = this.#options.nowMs();
    if (this.#known === undefined || nowMs - this.#known.ms > discoveryMs) {
      this.#known = { discovery: await this.#options.discover(signal), ms: nowMs };
    }
    return this.#known.discovery;
  }

  #sourcesOf(type: DiscoveredType): readonly QuotaAmountSource[] {
    const definition = this.#options.definitions.get(typeName(type));
    return parseQuotaAmounts(definition?.metadata.annotations?.[quotaAmountsAnnotation]);
  }
}
