/** What an owner's policy file says, read and checked. Pure data; `parse-policy.ts` makes it. */
import type { ResourceName } from '../../api/effective-resources.ts';

export interface OwnerPolicy {
  /** Nothing runs while this is set. */
  stopNow: boolean;
  /** When instances may run; always where absent. */
  hours?: readonly WeeklyWindow[];
  total: PolicyAmounts;
  perInstance: PolicyAmounts;
  images?: AllowDeny;
  members?: AllowDeny;
  runtimes?: readonly ('runc' | 'runsc')[];
  /** The least that stays free on the owner's disk, in bytes or as a share of it; a default of ours where absent. */
  freeDisk?: { bytes: number } | { share: number };
}

export interface AllowDeny {
  allow?: readonly string[];
  deny?: readonly string[];
}

/** Quantities as they are written; what is absent is not bounded. */
export type PolicyAmounts = Readonly<Partial<Record<ResourceName, string>>>;

/** Minutes of local time from the beginning of Monday, `from` included, `to` not; `to` may be smaller: then it is in the next week. */
export interface WeeklyWindow {
  fromMinute: number;
  toMinute: number;
}

/** Where there is no file: nothing is bounded. */
export const unboundedPolicy: OwnerPolicy = { stopNow: false, total: {}, perInstance: {} };
