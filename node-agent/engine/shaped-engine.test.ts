import assert from 'node:assert/strict';
import { instanceUidLabel, providerLabel } from '../../api/names.ts';
import { FakeBandwidthLimits } from '../limits/bandwidth/fake-bandwidth-limits.ts';
import type { ContainerLimits, ContainerSpec } from './engine.ts';
import { FakeEngine } from './fake-engine.ts';
import { ShapedEngine } from './shaped-engine.ts';

const limits: ContainerLimits = {
  cpuMillis: 500,
  cpuShares: 512,
  cpuset: '0',
  memoryBytes: 64,
  memoryReservationBytes: 32,
  pids: 32,
  ingressBitsPerSecond: 10e6,
};
const labels = { [instanceUidLabel]: 'uid', [providerLabel]: 'provider' };
const spec: ContainerSpec = { name: 'potluck-uid', image: 'image:1', env: [], hostname: 'h', labels, limits };

describe('ShapedEngine', () => {
  let engine: FakeEngine;
  let bandwidth: FakeBandwidthLimits;
  let shaped: ShapedEngine;

  beforeEach(() => {
    engine = new FakeEngine();
    engine.images.set('image:1', { id: 'sha256:1', sizeBytes: 1, digests: [] });
    bandwidth = new FakeBandwidthLimits();
    shaped = new ShapedEngine(engine, bandwidth);
  });

  it('has limits in place before it can be started, changes them live, and forgets them with the container', async () => {
    const id = await shaped.createContainer(spec);
    assert.deepEqual(bandwidth.containers.get(id), { ingressBitsPerSecond: 10e6 });
    await shaped.startContainer(id);
    await shaped.updateLimits(id, { ...limits, ingressBitsPerSecond: 20e6, egressBitsPerSecond: 1e6 });
    assert.deepEqual(bandwidth.containers.get(id), { ingressBitsPerSecond: 20e6, egressBitsPerSecond: 1e6 });
    assert.deepEqual((await shaped.inspectContainer(id))?.limits, { ...limits, ingressBitsPerSecond: 20e6, egressBitsPerSecond: 1e6 });
    await shaped.removeContainer(id);
    assert.equal(bandwidth.containers.size, 0);
  });

  it('shows a container whose limits could not be put in place as one without', async () => {
    bandwidth.nextError = new Error('no room');
    await assert.rejects(shaped.createContainer({ ...spec, limits: { ...limits } }), /no room/);
    const [container] = await shaped.listContainers('provider');
    assert.ok(container !== undefined && !('ingressBitsPerSecond' in container.limits));
  });
});
