/**
 * ResourceQuotas (k8s.io/apiserver `pkg/admission/plugin/resourcequota`): what a write takes is added to the quota's `status.used` by
 * compare-and-set before the write, so quotas are never exceeded, however many servers and clients race. What is set aside and then not
 * used, and what deletions set free, comes back by the controller's resource-quota duty.
 */
import { compareQuantities, parseQuantity, signOfQuantity } from '../../../api/quantity.ts';
import { quotaUsage } from '../../../api/quota-usage.ts';
import {
  addAmounts,
  formatAmounts,
  parseAmounts,
  subtractAmounts,
  type ParsedAmounts,
  type ResourceAmounts,
} from '../../../api/resource-amounts.ts';
import type { ResourceQuota } from '../../../api/resource-type.ts';
import { ownWrite } from '../../registry/definition-controller.ts';
import { forbidden } from '../../registry/namespace-gate.ts';
import type { ResourceOperations } from '../../registry/resource.ts';
import { StatusError } from '../../registry/status-error.ts';
import { namespacePrefix } from '../../registry/storage-keys.ts';
import type { WatchCache } from '../../registry/watch-cache.ts';
import type { AdmissionRequest, AdmissionRule, Undo } from '../admission-request.ts';
import { TurnQueue } from './turn-queue.ts';

export interface QuotaOptions {
  quotaCache: WatchCache;
  quotas: () => ResourceOperations;
}

/** Kubernetes does not count events: they come on their own and go on their own. */
const uncounted = new Set(['events', 'events.events.k8s.io']);
/** Writes of one quota that may lose a race against other servers; within this server they go one after another. */
const mostAttempts = 20;

export function resourceQuotas(options: QuotaOptions): AdmissionRule {
  const turns = new TurnQueue();
  return {
    name: 'ResourceQuota',
    async decide(request) {
      const { namespace, operation, subresource, definition, options: writing } = request;
      if (namespace === undefined || operation === 'DELETE' || subresource !== undefined) return undefined;
      if (uncounted.has(definition.group === '' ? definition.resource : `${definition.resource}.${definition.group}`)) return undefined;
      const names = namesOfQuotas(options.quotaCache, namespace);
      if (names.length === 0) return undefined;
      const taken = usageOf(request);
      const reserved: Undo[] = [];
      const undo = async (): Promise<void> => {
        for (const step of reserved.splice(0)) await step();
      };
      try {
        for (const name of names) {
          const quota = new QuotaAccount(options, { namespace, name });
          const amounts = await turns.take(`${namespace}/${name}`, () => quota.reserve(request, taken));
          if (amounts !== undefined) reserved.push(() => turns.take(`${namespace}/${name}`, () => quota.giveBack(amounts)));
        }
      } catch (error) {
        await undo();
        throw error;
      }
      return writing.dryRun ? undefined : undo;
    },
  };
}

function namesOfQuotas(cache: WatchCache, namespace: string): string[] {
  return cache.list(namespacePrefix(cache.prefix, namespace)).map(({ object }) => object.metadata.name ?? '');
}

interface Usage {
  /** What the object has of everything that is summed. */
  total: ParsedAmounts;
  /** What it has more than before. */
  growth: ParsedAmounts;
}

function usageOf({ definition, object, oldObject }: AdmissionRequest): Usage {
  const sources = definition.quotaAmounts ?? [];
  const total = quotaUsage(definition, object, sources);
  const before = oldObject === undefined ? {} : quotaUsage(definition, oldObject, sources);
  const growth = Object.entries(subtractAmounts(total, before)).filter(([, amount]) => signOfQuantity(amount) > 0);
  return { total, growth: Object.fromEntries(growth) };
}

class QuotaAccount {
  readonly #options: QuotaOptions;
  readonly #key: { namespace: string; name: string };

  constructor(options: QuotaOptions, key: { namespace: string; name: string }) {
    this.#options = options;
    this.#key = key;
  }

  /** Adds what the request takes; answers what was added, undefined when this quota is not concerned. Throws 403 when it is too much. */
  async reserve(request: AdmissionRequest, usage: Usage): Promise<ResourceAmounts | undefined> {
    let quota = this.#known();
    let isLatest = false;
    for (let attempt = 1; ;) {
      quota ??= await this.#read();
      if (quota === undefined) return undefined;
      try {
        const added = takeFrom(quota, request, usage);
        if (added === undefined) return undefined;
        if (!request.options.dryRun) await this.#write(quota, addAmounts(quota.status?.used ?? {}, added));
        return added;
      } catch (error) {
        // The cache may be behind, and another server may have come first: what counts is the store's own state.
        const lost = error instanceof StatusError && error.code === 409;
        if (lost && attempt < mostAttempts) attempt += 1;
        else if (lost || isLatest || !(error instanceof StatusError)) throw error;
        quota = await this.#read();
        isLatest = true;
      }
    }
  }

  /** What fails here comes back later, by the controller. */
  async giveBack(amounts: ResourceAmounts): Promise<void> {
    for (let attempt = 1; attempt <= mostAttempts; attempt += 1) {
      try {
        const quota = await this.#read();
        if (quota === undefined) return;
        const left = Object.entries(subtractAmounts(quota.status?.used ?? {}, amounts));
        await this.#write(quota, Object.fromEntries(left.filter(([, amount]) => signOfQuantity(amount) >= 0)));
        return;
      } catch (error) {
        if (!(error instanceof StatusError && error.code === 409)) return;
      }
    }
  }

  #known(): ResourceQuota | undefined {
    const { quotaCache } = this.#options;
    const { namespace, name } = this.#key;
    return quotaCache.latest(`${namespacePrefix(quotaCache.prefix, namespace)}${name}`)?.object;
  }

  async #read(): Promise<ResourceQuota | undefined> {
    try {
      return (await this.#options.quotas().get(this.#key)).object;
    } catch (error) {
      if (error instanceof StatusError && error.code === 404) return undefined;
      throw error;
    }
  }

  async #write(quota: ResourceQuota, used: ResourceAmounts): Promise<void> {
    const status = { ...quota.status, used: { ...quota.status?.used, ...formatAmounts(used) } };
    await this.#options.quotas().update(this.#key, { ...quota, status }, ownWrite(), 'status');
  }
}

/** What is to be added to the quota's usage; throws 403 when there is not so much left. */
function takeFrom(quota: ResourceQuota, request: AdmissionRequest, { total, growth }: Usage): ResourceAmounts | undefined {
  const { definition, name } = request;
  const hard = parseAmounts(quota.spec?.hard ?? {});
  const used = parseAmounts(quota.status?.used ?? {});
  const refuse = (why: string): StatusError => forbidden(definition, name, why);
  const quotaName = quota.metadata.name ?? '';
  const prefixes = (definition.quotaAmounts ?? []).map(({ prefix }) => `${prefix}.`);
  const unsaid = Object.keys(hard).filter((each) => prefixes.some((prefix) => each.startsWith(prefix)) && total[each] === undefined);
  if (unsaid.length > 0) throw refuse(`failed quota: ${quotaName}: must specify ${unsaid.sort().join(',')}`);
  const concerned = Object.keys(growth).filter((each) => hard[each] !== undefined);
  if (concerned.length === 0) return undefined;
  const unknown = concerned.filter((each) => used[each] === undefined);
  if (unknown.length > 0) throw refuse(`status unknown for quota: ${quotaName}, resources: ${unknown.sort().join(',')}`);
  const requested = pick(growth, concerned);
  const after = addAmounts(used, requested);
  const exceeded = concerned.filter((each) => compareQuantities(after[each] ?? zero, hard[each] ?? zero) > 0);
  if (exceeded.length > 0) {
    const show = (amounts: ParsedAmounts): string => textOf(pick(amounts, exceeded));
    throw refuse(`exceeded quota: ${quotaName}, requested: ${show(requested)}, used: ${show(used)}, limited: ${show(hard)}`);
  }
  return requested;
}

const zero = parseQuantity(0);

function pick(amounts: ParsedAmounts, names: readonly string[]): ParsedAmounts {
  return Object.fromEntries(names.flatMap((name) => (amounts[name] === undefined ? [] : [[name, amounts[name]]])));
}

/** `count/configmaps=1,requests.cpu=2`, in the order of names. */
function textOf(amounts: ParsedAmounts): string {
  return Object.entries(formatAmounts(amounts))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, amount]) => `${name}=${amount}`)
    .join(',');
}
