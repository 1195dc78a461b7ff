/** The sentence that a pending instance shows. Pure. */
import type { PlaceResult } from './place.ts';

/** For example `0/12 providers fit: 7 not enough memory, 3 too far (over 300 km), 2 not ready`. */
export function explain({ providers, rejections }: Extract<PlaceResult, { placed: false }>): string {
  if (providers === 0) return '0/0 providers fit: the pool has no providers';
  return `0/${providers} providers fit: ${rejections.map(({ reason, count }) => `${count} ${reason}`).join(', ')}`;
}
