/** Taints and tolerations, as k8s.io/api `core/v1.Toleration.ToleratesTaint`. Pure. */
import type { Toleration } from './request.ts';
import type { Taint } from './snapshot.ts';

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { key = '', operator = 'Equal', value = '', effect } = toleration;
  if (effect !== undefined && effect !== taint.effect) return false;
  if (key === '') return operator === 'Exists';
  return key === taint.key && (operator === 'Exists' || value === (taint.value ?? ''));
}

/** How many of the taints with this effect no toleration puts up with. */
export function untolerated(taints: readonly Taint[], tolerations: readonly Toleration[], effect: Taint['effect']): number {
  let count = 0;
  for (const taint of taints) {
    if (taint.effect === effect && !tolerations.some((toleration) => tolerates(toleration, taint))) count += 1;
  }
  return count;
}
