import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { instances } from '../../api/resource-type.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

describe('the limits of an instance, on a real engine', function () {
  this.timeout(120_000);
  let pool: TestPool;
  before(async () => {
    pool = await startTestPool({ providers: [{ name: 'desktop', region: 'eu-west' }] });
  });
  after(async () => {
    await pool.stop();
  });

  it('are the container’s own from its creation: docker inspect equals what was declared', async () => {
    await pool.client.create(
      instances,
      instanceManifest('declared', {
        requests: { cpu: '250m', memory: '64Mi', disk: '64Mi' },
        limits: { cpu: '500m', memory: '96Mi', pids: '77' },
      }),
    );
    const instance = await pool.untilPhase('declared', 'Running');
    const { HostConfig: host, Config: config } = await pool.inspect('desktop', instance.metadata.uid!);
    assert.equal(cpuShare(host), 0.5);
    assert.equal(host.Memory, 96 * 1024 * 1024);
    assert.equal(host.MemorySwap, host.Memory, 'no swap');
    assert.equal(host.MemoryReservation, 64 * 1024 * 1024);
    assert.equal(host.PidsLimit, 77);
    assert.equal(host.Privileged, false);
    assert.deepEqual(host.CapDrop, ['ALL']);
    assert.deepEqual(host.Binds ?? [], []);
    assert.deepEqual(host.SecurityOpt, ['no-new-privileges']);
    assert.equal(config.Hostname, instance.status?.hostname);
  });

  it('change live, without a new container', async () => {
    const before = await pool.inspect('desktop', (await pool.get('declared')).metadata.uid!);
    await pool.client.patch(
      instances,
      { namespace: 'default', name: 'declared' },
      { spec: { resources: { limits: { cpu: '700m', memory: '128Mi', pids: '88' } } } },
    );
    await eventually(
      async () => {
        const { Id, HostConfig: host } = await pool.inspect('desktop', (await pool.get('declared')).metadata.uid!);
        assert.equal(Id, before.Id);
        assert.equal(cpuShare(host), 0.7);
        assert.equal(host.Memory, 128 * 1024 * 1024);
        assert.equal(host.PidsLimit, 88);
      },
      { timeoutMs: 15_000, what: 'the new limits on the same container' },
    );
  });

  it('kill a process that allocates past its memory, and the instance says OOMKilled', async () => {
    await pool.client.create(
      instances,
      instanceManifest('glutton', {
        // tail keeps what it reads: it grows until the kernel stops it.
        command: ['sh', '-c', 'exec tail /dev/zero'],
        limits: { memory: '32Mi' },
        restartPolicy: 'Never',
      }),
    );
    const instance = await pool.untilPhase('glutton', 'Failed');
    assert.equal(instance.status?.state?.terminated?.reason, 'OOMKilled');
  });

  it('stop a fork bomb at the pids limit, and the agent goes on', async () => {
    await pool.client.create(
      instances,
      instanceManifest('bomb', {
        command: ['sh', '-c', 'while true; do sleep 1000 & done'],
        limits: { pids: '40' },
        restartPolicy: 'Always',
      }),
    );
    const instance = await eventually(
      async () => {
        const current = await pool.get('bomb');
        assert.ok((current.status?.restartCount ?? 0) > 0 || current.status?.phase === 'Running');
        return current;
      },
      { timeoutMs: 30_000, what: 'the bomb to be lit' },
    );
    const peak = await pool.peakProcesses('desktop', instance.metadata.uid!, 3_000);
    assert.ok(peak <= 40, `${peak} processes`);
    await pool.client.create(instances, instanceManifest('after-the-bomb'));
    await pool.untilPhase('after-the-bomb', 'Running');
    await pool.client.delete(instances, { namespace: 'default', name: 'bomb' });
  });

  it('give a busy loop no more than its CPU', async () => {
    await pool.client.create(
      instances,
      instanceManifest('spinner', { command: ['sh', '-c', 'while true; do :; done'], requests: { cpu: '300m' }, limits: { cpu: '300m' } }),
    );
    const instance = await pool.untilPhase('spinner', 'Running');
    const used = await pool.cpuCoresUsed('desktop', instance.metadata.uid!, 4_000);
    assert.ok(used < 0.36, `${used.toFixed(3)} cores used of 0.3`);
    assert.ok(used > 0.1, `${used.toFixed(3)} cores used: the loop did not run`);
  });
});

/** Cores that the CPU quota allows. */
function cpuShare(host: { CpuQuota?: number | undefined; CpuPeriod?: number | undefined; NanoCpus?: number | undefined }): number {
  if (host.NanoCpus !== undefined && host.NanoCpus > 0) return host.NanoCpus / 1e9;
  return (host.CpuQuota ?? 0) / (host.CpuPeriod === undefined || host.CpuPeriod === 0 ? 100_000 : host.CpuPeriod);
}
