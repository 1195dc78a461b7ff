/** What a provider's status should say, and whether its instances must go. Pure. */
import { findCondition, setCondition } from '../../api/conditions.ts';
import type { ConditionUpdate } from '../../api/conditions.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { formatTime, parseTime } from '../../api/time.ts';
import type { LeaseAge } from './lease-watch.ts';

export type ProviderStatus = NonNullable<Provider['status']>;

export interface ProviderFacts {
  provider: Provider;
  lease: LeaseAge;
  leaseDurationMs: number;
  /** No instance is assigned to it, and nothing is reserved. */
  isEmpty: boolean;
  nowMs: number;
}

export interface ProviderVerdict {
  /** The very object of the provider when nothing changes. */
  status: ProviderStatus;
  /** It has become Unknown; the lease is read once more before that is written. */
  becomesUnknown: boolean;
  /** The owner's grace is over: assignments are to be cleared. */
  clearAssignments: boolean;
  /** When time alone may change the verdict. */
  recheckAfterMs: number | undefined;
}

type LeaseState = 'none' | 'renewed' | 'expired';
type Ready = Pick<ConditionUpdate, 'status' | 'reason' | 'message'>;

export function judgeProvider(facts: ProviderFacts): ProviderVerdict {
  const { provider, lease, leaseDurationMs, isEmpty, nowMs } = facts;
  const leaseState = stateOf(facts);
  const withdrawnAt = withdrawalOf(provider, nowMs);
  const graceLeftMs = withdrawnAt === undefined ? Infinity : graceEndMs(provider, withdrawnAt, nowMs) - nowMs;
  return {
    status: statusOf(facts, leaseState, withdrawnAt),
    becomesUnknown: leaseState === 'expired' && readyOf(provider)?.reason !== reasons.leaseExpired,
    clearAssignments: !isEmpty && leaseState !== 'expired' && graceLeftMs <= 0,
    recheckAfterMs: least(leaseState === 'renewed' ? leaseDurationMs - lease.sinceRenewalMs : Infinity, graceLeftMs),
  };
}

/** When it was withdrawn, by its owner or by the machine that leaves, whichever was first; undefined while it is in use. */
function withdrawalOf({ spec, status }: Provider, nowMs: number): string | undefined {
  const leavingAt = status?.leavingAt;
  if (spec.available !== false && leavingAt === undefined) return undefined;
  // A machine whose clock runs ahead gives nobody more time.
  const leftMs = leavingAt === undefined ? nowMs : Math.min(parseTime(leavingAt) ?? nowMs, nowMs);
  const knownMs = parseTime(status?.withdrawnAt) ?? nowMs;
  return formatTime(Math.min(leftMs, knownMs));
}

function statusOf(
  { provider, leaseDurationMs, isEmpty, nowMs }: ProviderFacts,
  leaseState: LeaseState,
  withdrawnAt: string | undefined,
): ProviderStatus {
  const { metadata, status: before = {} } = provider;
  const isWithdrawn = withdrawnAt !== undefined;
  const who = before.leavingAt === undefined ? 'its owner withdrew it' : 'it leaves the pool';
  const ready = isWithdrawn && leaseState !== 'expired' ? withdrawnReady(isEmpty, who) : leaseReady(leaseState, leaseDurationMs);
  const withdrawnPhase = isEmpty ? 'Withdrawn' : 'Withdrawing';
  const phase = isWithdrawn ? withdrawnPhase : phases[leaseState];
  const observed = metadata.generation === undefined ? {} : { observedGeneration: metadata.generation };
  const conditions = setCondition(before.conditions, { type: conditionTypes.ready, ...ready, ...observed }, nowMs);
  if (before.phase === phase && before.withdrawnAt === withdrawnAt && before.conditions === conditions) return before;
  const after: ProviderStatus = { ...before, phase, conditions };
  delete after.withdrawnAt;
  return isWithdrawn ? { ...after, withdrawnAt } : after;
}

/** The first sight of a lease counts as a renewal, but not for a provider that is Unknown: it must be seen to renew. */
function stateOf({ provider, lease, leaseDurationMs }: ProviderFacts): LeaseState {
  const ready = readyOf(provider);
  const isHeld = lease.holder !== undefined && lease.holder === provider.metadata.uid;
  if (!isHeld && (ready === undefined || ready.reason === reasons.noLease)) return 'none';
  if (lease.holder !== undefined && !isHeld) return 'expired';
  const sinceMs = ready?.reason === reasons.leaseExpired ? lease.sinceChangeMs : lease.sinceRenewalMs;
  return sinceMs < leaseDurationMs ? 'renewed' : 'expired';
}

const phases = { none: 'Pending', renewed: 'Ready', expired: 'Unknown' } as const;

function leaseReady(state: LeaseState, leaseDurationMs: number): Ready {
  switch (state) {
    case 'none':
      return { status: 'Unknown', reason: reasons.noLease, message: 'no agent has renewed a lease for it yet' };
    case 'renewed':
      return { status: 'True', reason: reasons.leaseRenewed, message: 'its agent renews its lease' };
    case 'expired':
      return {
        status: 'Unknown',
        reason: reasons.leaseExpired,
        message: `its agent has not renewed its lease for ${leaseDurationMs / 1000} s`,
      };
  }
}

function withdrawnReady(isEmpty: boolean, who: string): Ready {
  return isEmpty
    ? { status: 'False', reason: reasons.withdrawn, message: `${who}, and it is empty` }
    : { status: 'False', reason: reasons.withdrawing, message: `${who}; its instances leave when the grace is over` };
}

function graceEndMs(provider: Provider, withdrawnAt: string, nowMs: number): number {
  return (parseTime(withdrawnAt) ?? nowMs) + (provider.spec.withdrawalGraceSeconds ?? 60) * 1000;
}

function readyOf(provider: Provider): { reason: string } | undefined {
  return findCondition(provider.status?.conditions, conditionTypes.ready);
}

function least(...delaysMs: number[]): number | undefined {
  const positive = delaysMs.filter((delayMs) => delayMs > 0 && delayMs !== Infinity);
  return positive.length === 0 ? undefined : Math.min(...positive);
}
