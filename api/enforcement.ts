/** Which limits bite on a machine: kinds, their levels, and whether one level is as good as another. Pure. */
import type { Provider } from './generated/provider.ts';

export type EnforcementStatus = NonNullable<NonNullable<Provider['status']>['enforcement']>;

/** From the weakest to the strongest. */
export const enforcementLevels = {
  cpu: ['None', 'Quota'],
  memory: ['None', 'Hard'],
  disk: ['None', 'Watchdog', 'Quota'],
  pids: ['None', 'Hard'],
  ingress: ['None', 'Shaped'],
  egress: ['None', 'Shaped'],
  isolation: ['None', 'Walled'],
  sandbox: ['None', 'Available'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type EnforcementKind = keyof typeof enforcementLevels;
export const enforcementKinds = Object.keys(enforcementLevels) as EnforcementKind[];

/** What was not tried, or is not known, counts as None; a requirement that is not known is never met. */
export function meetsLevel(status: EnforcementStatus | undefined, kind: EnforcementKind, required: string): boolean {
  const levels: readonly string[] = enforcementLevels[kind];
  const wanted = levels.indexOf(required);
  return wanted >= 0 && Math.max(0, levels.indexOf(status?.[kind] ?? 'None')) >= wanted;
}
