import assert from 'node:assert/strict';
import { effectiveResources, reservedAmounts } from './effective-resources.ts';
import type { Instance } from './generated/instance.ts';
import type { Provider } from './generated/provider.ts';

type Resources = Instance['spec']['resources'];

function instance(requests: Resources['requests'], limits?: Resources['limits']): Instance['spec'] {
  return { image: 'debian:12', resources: { requests, ...(limits && { limits }) } };
}

const provider: Provider['spec'] = {
  owner: 'alan',
  offer: { cpu: '6', memory: '12Gi', disk: '200Gi' },
  perInstanceMax: { cpu: '4', memory: '8Gi', 'egress-bandwidth': '10M' },
};
const Mi = 1024 ** 2;
const Gi = 1024 ** 3;

describe('effectiveResources()', () => {
  it('takes what the instance states', () => {
    const stated = effectiveResources(
      instance(
        { cpu: '500m', memory: '2Gi', disk: '10Gi' },
        { cpu: '2', memory: '4Gi', disk: '20Gi', pids: 100, 'ingress-bandwidth': '20M', 'egress-bandwidth': '5M' },
      ),
      provider,
      provider.offer,
    );
    assert.deepEqual(stated, {
      cpuRequestMillicores: 500,
      cpuLimitMillicores: 2000,
      memoryRequestBytes: 2 * Gi,
      memoryLimitBytes: 4 * Gi,
      diskRequestBytes: 10 * Gi,
      diskLimitBytes: 20 * Gi,
      pidsLimit: 100,
      ingressBitsPerSecond: 20_000_000,
      egressBitsPerSecond: 5_000_000,
      gpus: 0,
    });
  });

  it('takes graphics processors from requests or limits, and reserves them', () => {
    for (const spec of [instance({ cpu: 1, 'nvidia.com/gpu': 2 }), instance({ cpu: 1 }, { 'nvidia.com/gpu': '2' })]) {
      assert.equal(effectiveResources(spec, provider, provider.offer).gpus, 2);
      assert.equal(reservedAmounts(spec)['nvidia.com/gpu'], '2');
    }
  });

  it('fills in the defaults of the CRD: cpu and disk the request, memory the perInstanceMax, pids 512', () => {
    const filled = effectiveResources(instance({ cpu: 1, memory: '2Gi', disk: '10Gi' }), provider, provider.offer);
    assert.equal(filled.cpuLimitMillicores, 1000);
    assert.equal(filled.diskLimitBytes, 10 * Gi);
    assert.equal(filled.memoryLimitBytes, 8 * Gi);
    assert.equal(filled.pidsLimit, 512);
    assert.equal(filled.ingressBitsPerSecond, undefined);
    assert.equal(filled.egressBitsPerSecond, 10_000_000);
  });

  it('never defaults memory to more than the allocatable, nor to less than the request', () => {
    const request = instance({ cpu: 1, memory: '2Gi' });
    assert.equal(effectiveResources(request, provider, { memory: '3Gi' }).memoryLimitBytes, 3 * Gi);
    assert.equal(effectiveResources(request, provider, { memory: '100Mi' }).memoryLimitBytes, 2 * Gi);
  });

  it('falls back to the offer where perInstanceMax does not name the resource', () => {
    assert.equal(effectiveResources(instance({ cpu: 1, memory: '64Mi' }), provider, { disk: '150Gi' }).diskLimitBytes, 150 * Gi);
    assert.equal(effectiveResources(instance({ cpu: 1, memory: '64Mi' }), provider, undefined).diskLimitBytes, 200 * Gi);
  });

  it('requests the disk that is only limited, as Kubernetes does', () => {
    const limited = effectiveResources(instance({ cpu: 1, memory: '64Mi' }, { disk: '5Gi' }), provider, provider.offer);
    assert.equal(limited.diskRequestBytes, 5 * Gi);
  });

  it('rounds fractions of a millicore and of a byte up', () => {
    const fractions = effectiveResources(instance({ cpu: '1500u', memory: '6291456.5' }), provider, provider.offer);
    assert.equal(fractions.cpuRequestMillicores, 2);
    assert.equal(fractions.memoryRequestBytes, 6 * Mi + 1);
  });
});

describe('reservedAmounts()', () => {
  it('reserves requests, and of limits only stated processes, bandwidth and unrequested disk', () => {
    assert.deepEqual(
      reservedAmounts(instance({ cpu: '1', memory: '2048Mi' }, { cpu: '2', memory: '4Gi', disk: '5Gi', 'egress-bandwidth': '5000k' })),
      { cpu: '1', memory: '2Gi', disk: '5Gi', 'egress-bandwidth': '5M' },
    );
    assert.deepEqual(reservedAmounts(instance({ cpu: '1', memory: '2Gi', disk: '1Gi' }, { disk: '5Gi' })), {
      cpu: '1',
      memory: '2Gi',
      disk: '1Gi',
    });
  });
});
