/** The policies and bindings that are in force on this server, from its watch cache; each policy is compiled once for each generation. */
import type { StoredEntry } from '../../registry/stored-entry.ts';
import type { WatchCache } from '../../registry/watch-cache.ts';
import { compilePolicy, type CompiledPolicy } from './compile-policy.ts';
import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicyBindingSpec,
  ValidatingAdmissionPolicySpec,
} from './policy-types.ts';

export interface BoundPolicy {
  name: string;
  spec: ValidatingAdmissionPolicySpec;
  compiled: CompiledPolicy;
  bindings: readonly { name: string; spec: ValidatingAdmissionPolicyBindingSpec }[];
}

export class PolicyIndex {
  readonly #policies: WatchCache;
  readonly #bindings: WatchCache;
  readonly #compiled = new Map<string, { generation: unknown; policy: CompiledPolicy }>();
  /** Undefined after a change. */
  #bound: readonly BoundPolicy[] | undefined;

  constructor(policies: WatchCache, bindings: WatchCache) {
    this.#policies = policies;
    this.#bindings = bindings;
    for (const cache of [policies, bindings]) {
      cache.follow({
        onChange: () => {
          this.#bound = undefined;
        },
        onEnd: () => undefined,
      });
    }
  }

  /** Policies that have a binding, by name. */
  bound(): readonly BoundPolicy[] {
    return (this.#bound ??= this.#collect());
  }

  #collect(): readonly BoundPolicy[] {
    const bindings = all(this.#bindings).map(({ object }) => object as ValidatingAdmissionPolicyBinding);
    const seen = new Set<string>();
    const bound = all(this.#policies).flatMap((entry) => {
      const { metadata, spec = {} } = entry.object as ValidatingAdmissionPolicy;
      const { name = '', uid = '', generation } = metadata;
      const own = bindings.filter((binding) => binding.spec?.policyName === name);
      if (own.length === 0) return [];
      seen.add(uid);
      const compiled = this.#compile(uid, generation, spec);
      return { name, spec, compiled, bindings: own.map((binding) => ({ name: binding.metadata.name ?? '', spec: binding.spec ?? {} })) };
    });
    for (const uid of this.#compiled.keys()) if (!seen.has(uid)) this.#compiled.delete(uid);
    return bound;
  }

  #compile(uid: string, generation: unknown, spec: ValidatingAdmissionPolicySpec): CompiledPolicy {
    const known = this.#compiled.get(uid);
    if (known !== undefined && known.generation === generation) return known.policy;
    const policy = compilePolicy(spec);
    this.#compiled.set(uid, { generation, policy });
    return policy;
  }
}

function all(cache: WatchCache): StoredEntry[] {
  return cache.list(cache.prefix);
}
