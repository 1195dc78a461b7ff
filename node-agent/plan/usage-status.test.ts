import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatQuantity, parseQuantity } from '../../api/quantity.ts';
import { usageStatus, withoutUsage } from './usage-status.ts';

describe('usageStatus()', () => {
  it('writes what a running instance uses', () => {
    const running = { cpuMillis: 1250, memoryBytes: 1, ingressBytes: 5, egressBytes: 0, measuredAtMs: 0, windowMs: 29_600 };
    assert.deepEqual(usageStatus({ running, diskBytes: 3 * 1024 ** 3 }), {
      usage: { cpu: '1250m', memory: '1Mi', disk: '3Gi', 'ingress-bytes': '5', 'egress-bytes': '0' },
      usageMeasuredAt: '1970-01-01T00:00:00Z',
      usageWindow: '30s',
    });
  });

  it('of one that does not run has only the disk, and no time', () => {
    assert.deepEqual(usageStatus({ diskBytes: 0 }), { usage: { disk: '0' } });
    assert.deepEqual(withoutUsage({ phase: 'Stopped', usage: {}, usageMeasuredAt: '', usageWindow: '' }), { phase: 'Stopped' });
  });

  it('writes cpu and memory as Kubernetes would', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(2 ** 45), (cpuMillis, memoryBytes) => {
        const running = { cpuMillis, memoryBytes, ingressBytes: 0, egressBytes: 0, measuredAtMs: 0, windowMs: 1 };
        const { cpu = '', memory = '' } = usageStatus({ running }).usage;
        assert.equal(cpu, formatQuantity(parseQuantity(cpu)));
        assert.equal(memory, formatQuantity(parseQuantity(memory)));
      }),
    );
  });
});
