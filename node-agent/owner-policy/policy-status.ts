/** What a policy comes to at a moment: as the scheduler, the agent's own parts and the Provider's status have it. Pure. */
import type { OwnerPolicyStatus } from '../../api/owner-policy.ts';
import { formatTime } from '../../api/time.ts';
import { openingAt } from './policy-hours.ts';
import type { OwnerPolicy, PolicyAmounts } from './policy.ts';

/** Where a file is there but cannot be read, and none was read before: until its owner is understood, nothing runs. */
export const closedStatus: OwnerPolicyStatus = { open: false, reason: 'Unreadable' };

export function policyStatus(policy: OwnerPolicy, nowMs: number, timeZone: string): OwnerPolicyStatus {
  const { stopNow, hours, images, members, runtimes } = policy;
  const opening = hours === undefined ? { open: true } : openingAt(hours, nowMs, timeZone);
  const isOpen = opening.open && !stopNow;
  return {
    open: isOpen,
    ...(isOpen ? {} : { reason: stopNow ? 'StopNow' : 'OutsideHours' }),
    // While everything is stopped by hand the hours change nothing.
    ...(opening.nextChangeMs === undefined || stopNow ? {} : { nextChange: formatTime(opening.nextChangeMs) }),
    ...(isEmpty(policy.total) ? {} : { total: { ...policy.total } }),
    ...(isEmpty(policy.perInstance) ? {} : { perInstance: { ...policy.perInstance } }),
    ...(images === undefined ? {} : { images: copyLists(images) }),
    ...(members === undefined ? {} : { members: copyLists(members) }),
    ...(runtimes === undefined ? {} : { runtimes: [...runtimes] }),
  };
}

function isEmpty(amounts: PolicyAmounts): boolean {
  return Object.keys(amounts).length === 0;
}

function copyLists({ allow, deny }: { allow?: readonly string[]; deny?: readonly string[] }): { allow?: string[]; deny?: string[] } {
  return { ...(allow === undefined ? {} : { allow: [...allow] }), ...(deny === undefined ? {} : { deny: [...deny] }) };
}
