/** What an instance asks of placement, worked out once for all providers. Pure. */
import { reservedAmounts } from '../../api/effective-resources.ts';
import type { EnforcementKind } from '../../api/enforcement.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { LabelRequirement } from '../../api/selector.ts';
import { askedRow, peakRow } from './amounts.ts';
import type { AmountRow } from './amounts.ts';
import { haversineOfKm, pointAt } from './geography.ts';
import type { Point } from './geography.ts';
import { hashText } from './hash.ts';

type Placement = NonNullable<Instance['spec']['placement']>;
export type Toleration = NonNullable<Placement['tolerations']>[number];
export type SpreadBy = NonNullable<Placement['spread']>['by'];

export interface PlacementRequest {
  readonly uid: string;
  readonly hash: number;
  readonly namespace: string;
  /** Empty when it is not pinned. */
  readonly providerName: string;
  readonly requirements: readonly LabelRequirement[];
  readonly tolerations: readonly Toleration[];
  /** Empty when any will do. */
  readonly region: string;
  readonly near: NearRequest | undefined;
  readonly spreadBy: SpreadBy | undefined;
  readonly image: string;
  readonly isolation: 'Standard' | 'Sandboxed';
  /** Levels that the provider must have proved, by kind. */
  readonly enforcement: ReadonlyMap<EnforcementKind, string>;
  /** What is reserved. */
  readonly amounts: AmountRow;
  /** The most that is stated of each resource, held against the provider's perInstanceMax. */
  readonly peak: AmountRow;
}

export interface NearRequest {
  readonly point: Point;
  readonly maxDistanceKm: number;
  readonly maxHaversine: number;
}

/** @throws {QuantityError} when an amount cannot be read; the CRD's rules let none such in. */
export function placementRequest(instance: Instance): PlacementRequest {
  const { metadata, spec } = instance;
  const placement = spec.placement ?? {};
  const uid = metadata.uid ?? '';
  return {
    uid,
    hash: hashText(uid),
    namespace: metadata.namespace ?? '',
    providerName: placement.providerName ?? '',
    requirements: requirementsOf(placement.providerSelector),
    tolerations: placement.tolerations ?? [],
    region: placement.region ?? '',
    near: nearRequest(placement.near),
    spreadBy: placement.spread?.by,
    image: spec.image,
    isolation: spec.isolation ?? 'Standard',
    enforcement: enforcementOf(spec),
    amounts: askedRow(reservedAmounts(spec)),
    peak: peakRow(spec.resources),
  };
}

/** What a sandbox runs in must be there, whether it is required in so many words or not. */
function enforcementOf({ placement = {}, isolation }: Instance['spec']): ReadonlyMap<EnforcementKind, string> {
  const required = { ...placement.requireEnforcement, ...(isolation === 'Sandboxed' ? { sandbox: 'Available' } : {}) };
  return new Map(Object.entries(required) as [EnforcementKind, string][]);
}

function requirementsOf(selector: Placement['providerSelector']): LabelRequirement[] {
  const byLabels = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, operator: 'In' as const, values: [value] }));
  const byExpressions = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => ({ key, operator, values }));
  return [...byLabels, ...byExpressions];
}

function nearRequest(near: Placement['near']): NearRequest | undefined {
  if (near === undefined) return undefined;
  const { latitude, longitude, maxDistanceKm } = near;
  return { point: pointAt(latitude, longitude), maxDistanceKm, maxHaversine: haversineOfKm(maxDistanceKm) };
}
