import assert from 'node:assert/strict';
import type { Provider } from '../../../api/generated/provider.ts';
import { offeredBandwidth } from './offered-bandwidth.ts';

const provider = (offer: Record<string, string>, allocatable?: Record<string, string>): Provider =>
  ({ metadata: {}, spec: { owner: 'o', offer }, status: allocatable === undefined ? {} : { allocatable } }) as unknown as Provider;

describe('offeredBandwidth()', () => {
  it('is the least of the offer and what is allocatable, each way by itself', () => {
    const both = provider({ 'ingress-bandwidth': '40M', 'egress-bandwidth': '10M' }, { 'ingress-bandwidth': '20M' });
    assert.deepEqual(offeredBandwidth(both), { ingressBitsPerSecond: 20e6, egressBitsPerSecond: 10e6 });
    assert.deepEqual(offeredBandwidth(provider({ cpu: '1' }, { 'egress-bandwidth': '1M' })), { egressBitsPerSecond: 1e6 });
    assert.deepEqual(offeredBandwidth(provider({ cpu: '1' })), {});
  });
});
