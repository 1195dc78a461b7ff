/** Machines whose clocks are ten minutes ahead or behind join, renew their certificates and keep what they run. */
import assert from 'node:assert/strict';
import { providers } from '../../api/resource-type.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import type { TestPool } from '../support/pool.ts';
import { startTestPool } from '../support/pool.ts';

describe('machines with wrong clocks', function () {
  this.timeout(240_000);
  let pool: TestPool;
  const machines = { ahead: '+10m', behind: '-10m' } as const;

  before(async () => {
    const offers = Object.entries(machines).map(([name, clockOffset]) => ({ name, clockOffset }));
    // So short that a clock which is ahead finds it due for renewal soon.
    pool = await startTestPool({ providers: offers, certificateLife: '15m' });
  });
  after(() => pool.stop());

  it('join, stay Ready over more than a lease, and lose no instance', async () => {
    for (const name of Object.keys(machines)) {
      const manifest = instanceManifest(`on-${name}`, { placement: { providerName: name } });
      const applied = await pool.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
      assert.equal(applied.code, 0, applied.stderr);
    }
    const began = await Promise.all(Object.keys(machines).map((name) => pool.untilPhase(`on-${name}`, 'Running', 60_000)));
    const conditions = new Set<string>();
    const until = performance.now() + 50_000;
    await eventually(
      async () => {
        for (const name of Object.keys(machines)) conditions.add(readyOf(await pool.client.get(providers, { name })));
        assert.ok(performance.now() > until, 'a lease and more is not over yet');
      },
      { timeoutMs: 70_000, what: 'a lease and more to pass', intervalMs: 500 },
    );
    assert.deepEqual([...conditions], ['True LeaseRenewed']);
    for (const instance of began) {
      const { status } = await pool.get(instance.metadata.name ?? '');
      const { phase, containerID, restartCount } = instance.status ?? {};
      assert.deepEqual([status?.phase, status?.containerID, status?.restartCount], [phase, containerID, restartCount]);
    }
  });
});

function readyOf({ status }: Provider): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return `${ready?.status} ${ready?.reason}`;
}
