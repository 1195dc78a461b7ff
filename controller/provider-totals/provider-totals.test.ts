import assert from 'node:assert/strict';
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { totalsOf } from './provider-totals.ts';

const provider: Provider = {
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Provider',
  metadata: { name: 'desktop', uid: 'u' },
  spec: { owner: 'ann', offer: { cpu: '4', memory: '8Gi', disk: '10Gi' } },
  status: { allocatable: { cpu: '4', memory: '8Gi', disk: '10Gi' } },
};

function ledger(providerUID: string, ...amounts: Record<string, string>[]): ProviderReservation {
  const reservations = amounts.map((each, index) => ({
    instanceUID: String(index),
    namespace: 'ns',
    name: `i${index}`,
    epoch: 1,
    amounts: each,
    hostnameNumber: index,
    reservedAt: '2026-01-01T00:00:00Z',
  }));
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'ProviderReservation',
    metadata: { name: 'desktop' },
    spec: { providerUID, reservations },
  };
}

describe('totalsOf()', () => {
  it('sums the ledger and takes it from the allocatable', () => {
    const { reserved, left } = totalsOf(provider, ledger('u', { cpu: '500m', memory: '1Gi' }, { cpu: '1', disk: '3Gi', pids: '64' }));
    assert.deepEqual(reserved, { cpu: '1500m', memory: '1Gi', disk: '3Gi', pids: '64' });
    assert.deepEqual(left, { cpu: '2500m', memory: '7Gi', disk: '7Gi' });
  });

  it('counts no ledger, and one of another provider of that name, as empty', () => {
    const empty = { reserved: {}, left: { cpu: '4', memory: '8Gi', disk: '10Gi' } };
    assert.deepEqual(totalsOf(provider, undefined), empty);
    assert.deepEqual(totalsOf(provider, ledger('former', { cpu: '1' })), empty);
  });

  it('has nothing left where more is reserved than there is now', () => {
    assert.equal(totalsOf(provider, ledger('u', { cpu: '6' })).left['cpu'], '0');
  });
});
