import { enforcementKinds, meetsLevel } from '../../../api/enforcement.ts';
import type { Filter } from './filter.ts';

/** `placement.requireEnforcement`: what the provider's agent found by trying. `isolation: Sandboxed` asks for a sandbox. */
export const enforcementFilters: readonly Filter[] = enforcementKinds.map((kind) => ({
  name: `enforcement-${kind}`,
  reason: (request) => `without ${kind} ${request.enforcement.get(kind) ?? ''}`,
  applies: (request) => request.enforcement.has(kind),
  sieve: ({ enforcements }, { enforcement }, candidates, count) => {
    const level = enforcement.get(kind) ?? 'None';
    let kept = 0;
    for (let index = 0; index < count; index += 1) {
      const slot = candidates[index] ?? 0;
      if (meetsLevel(enforcements[slot], kind, level)) candidates[kept++] = slot;
    }
    return kept;
  },
}));
