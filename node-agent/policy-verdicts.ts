/** What the owner's policy says of each instance, worked out for all of them together and kept until something changes. */
import { effectiveResources } from '../api/effective-resources.ts';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { policySubject } from '../api/owner-policy.ts';
import type { OwnerPolicyStatus } from '../api/owner-policy.ts';
import { parseTime } from '../api/time.ts';
import { judgeInstances } from './owner-policy/judge-instances.ts';
import type { JudgedInstance, Verdict } from './owner-policy/judge-instances.ts';

export interface PolicyVerdictsOptions {
  /** Those assigned to this provider. */
  instances: () => readonly Instance[];
  provider: () => Provider;
  policy: () => OwnerPolicyStatus | undefined;
  /** Of an instance that is judged in another way now than it was before; never of one that is judged the first time. */
  onChange(instance: Instance, verdict: Verdict, before: Verdict): void;
}

export class PolicyVerdicts {
  readonly #options: PolicyVerdictsOptions;
  #verdicts: ReadonlyMap<string, Verdict> = new Map();
  #isStale = true;

  constructor(options: PolicyVerdictsOptions) {
    this.#options = options;
  }

  /** An instance, the provider or the policy changed. */
  invalidate(): void {
    this.#isStale = true;
  }

  /** Undefined for an instance that is not assigned to this provider. */
  of(uid: string): Verdict | undefined {
    if (this.#isStale) this.#judge();
    return this.#verdicts.get(uid);
  }

  #judge(): void {
    const { instances, provider, policy } = this.#options;
    const all = instances();
    const before = this.#verdicts;
    this.#verdicts = judgeInstances(
      policy(),
      all.flatMap((instance) => judged(instance, provider()) ?? []),
    );
    this.#isStale = false;
    for (const instance of all) {
      const uid = instance.metadata.uid ?? '';
      const [now, then] = [this.#verdicts.get(uid), before.get(uid)];
      if (now !== undefined && then !== undefined && JSON.stringify(now) !== JSON.stringify(then))
        this.#options.onChange(instance, now, then);
    }
  }
}

/** Undefined for what is going away or ended for good: it takes nothing any more. */
function judged(instance: Instance, provider: Provider): JudgedInstance | undefined {
  const { metadata, spec, status } = instance;
  if (metadata.uid === undefined || metadata.deletionTimestamp !== undefined) return undefined;
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const { requests, limits } = spec.resources;
  return {
    ...policySubject(instance),
    uid: metadata.uid,
    createdAtMs: parseTime(metadata.creationTimestamp) ?? 0,
    runs: spec.powerState !== 'Stopped',
    resources: effectiveResources(spec, provider.spec, provider.status?.allocatable),
    statesDisk: requests['disk'] !== undefined || limits?.['disk'] !== undefined,
  };
}
