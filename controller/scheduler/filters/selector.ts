import { matchesRequirements } from '../../../api/selector.ts';
import type { Filter } from './filter.ts';

/** `placement.providerSelector`. */
export const selectorFilter: Filter = {
  name: 'selector',
  reason: () => 'without the labels that it asks for',
  applies: (request) => request.requirements.length > 0,
  fits: (snapshot, slot, request) => matchesRequirements(request.requirements, snapshot.labels[slot]),
};
