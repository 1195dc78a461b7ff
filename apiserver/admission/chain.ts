/** What every write passes before it is stored, in order. Defaults, schemas and CEL rules of kinds come between `begin` and `decide`. */
import type { AdmissionRequest, AdmissionRule, Undo } from './admission-request.ts';
import { namespaceLifecycle, type NamespaceLifecycleOptions } from './namespace-lifecycle.ts';
import { validatingAdmissionPolicies, type PolicyOptions } from './policy/admission-policies.ts';
import { relationships } from './relationships.ts';
import { resourceQuotas, type QuotaOptions } from './quota/resource-quotas.ts';

export type ChainOptions = NamespaceLifecycleOptions & PolicyOptions & QuotaOptions;

/** The rules. A quota is last: what it sets aside for a write is for one that nothing else refuses. */
export function admissionRules(options: ChainOptions): readonly AdmissionRule[] {
  return [namespaceLifecycle(options), relationships, validatingAdmissionPolicies(options), resourceQuotas(options)];
}

export class AdmissionChain {
  readonly #rules: readonly AdmissionRule[];

  constructor(rules: readonly AdmissionRule[]) {
    this.#rules = rules;
  }

  /** Throws `StatusError` for what need not be looked at further. */
  async begin(request: AdmissionRequest): Promise<void> {
    for (const rule of this.#rules) await rule.begin?.(request);
  }

  /** Throws `StatusError` to refuse. Whoever then does not write calls what this answers. */
  async decide(request: AdmissionRequest): Promise<Undo> {
    const undo: Undo[] = [];
    const takeBack = async (): Promise<void> => {
      for (const step of undo.splice(0).reverse()) await step();
    };
    try {
      for (const rule of this.#rules) {
        const step = await rule.decide?.(request);
        if (step !== undefined) undo.push(step);
      }
    } catch (error) {
      await takeBack();
      throw error;
    }
    return takeBack;
  }
}
