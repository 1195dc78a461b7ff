import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { providerReservations, providers, instances } from '../../api/resource-type.ts';
import { compareQuantities, parseQuantity } from '../../api/quantity.ts';
import { sumAmounts } from '../../api/resource-amounts.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

const grenoble = { latitude: 45.2, longitude: 5.7 };
const montreal = { latitude: 45.5, longitude: -73.6 };
const lyon = { latitude: 45.8, longitude: 4.8 };

describe('three providers, each a real engine in its own network namespace', function () {
  this.timeout(240_000);
  let pool: TestPool;
  before(async () => {
    const offer = { cpu: '2', memory: '1Gi', disk: '2Gi' };
    pool = await startTestPool({
      providers: [
        { name: 'alpha', region: 'eu-west', ...grenoble, offer },
        { name: 'beta', region: 'eu-west', ...lyon, offer },
        { name: 'gamma', region: 'us-east', ...montreal, offer },
      ],
    });
  });
  after(async () => {
    await pool.stop();
  });

  it('run 30 instances within every offer, by region and distance as declared', async () => {
    const placements = {
      europe: { region: 'eu-west' },
      america: { region: 'us-east' },
      near: { near: { ...grenoble, maxDistanceKm: 50 } },
      pinned: { providerName: 'beta' },
    };
    const names: string[] = [];
    for (let n = 0; n < 30; n += 1) {
      const kind = (['europe', 'america', 'near', 'pinned', 'anywhere'] as const)[n % 5] ?? 'anywhere';
      const name = `${kind}-${n}`;
      names.push(name);
      const placement = kind === 'anywhere' ? undefined : placements[kind];
      await pool.client.create(instances, instanceManifest(name, placement === undefined ? {} : { placement }));
    }
    await Promise.all(names.map((name) => pool.untilPhase(name, 'Running', 120_000)));
    for (const name of names) {
      const where = (await pool.get(name)).status?.assignment?.providerName;
      if (name.startsWith('europe')) assert.ok(where === 'alpha' || where === 'beta', `${name} runs on ${where}`);
      if (name.startsWith('america')) assert.equal(where, 'gamma', name);
      if (name.startsWith('near')) assert.equal(where, 'alpha', name);
      if (name.startsWith('pinned')) assert.equal(where, 'beta', name);
    }
    await assertWithinAllocatable(pool);
    const hostnames = new Set(await Promise.all(names.map(async (name) => (await pool.get(name)).status?.hostname)));
    assert.equal(hostnames.size, names.length, 'hostnames are unique');
    for (const provider of pool.providers) {
      const placed = (await pool.client.list(instances)).items.filter((i) => i.status?.assignment?.providerName === provider.name);
      assert.equal((await pool.containers(provider.name)).length, placed.length, `containers on ${provider.name}`);
    }
  });

  it('leave an impossible instance Pending, and say why with counts', async () => {
    await pool.client.create(
      instances,
      instanceManifest('impossible', { requests: { cpu: '100m', memory: '512Gi' }, placement: { region: 'eu-west' } }),
    );
    await eventually(
      async () => {
        const instance = await pool.get('impossible');
        assert.equal(instance.status?.phase, 'Pending');
        const scheduled = instance.status.conditions?.find((condition) => condition.type === 'Scheduled');
        assert.equal(scheduled?.status, 'False');
        assert.match(scheduled.message, /^0\/3 providers fit: /);
        assert.match(scheduled.message, /2 .*memory/);
        assert.match(scheduled.message, /1 .*region/);
        const { stdout } = await pool.kubectl(['get', 'instance', 'impossible', '-o', 'wide']);
        assert.ok(stdout.includes(scheduled.message), `the table says why: ${stdout}`);
      },
      { timeoutMs: 10_000, what: 'the reason on the pending instance' },
    );
    await pool.client.delete(instances, { namespace: 'default', name: 'impossible' });
  });

  it('are emptied within the grace when one is withdrawn, and its instances run elsewhere', async () => {
    const moving = (await pool.client.list(instances)).items.filter(
      (i) => i.status?.assignment?.providerName === 'beta' && !i.metadata.name!.startsWith('pinned'),
    );
    assert.ok(moving.length > 0);
    await pool.client.patch(providers, { name: 'beta' }, { spec: { available: false, withdrawalGraceSeconds: 5 } });
    await eventually(
      async () => {
        assert.equal((await pool.containers('beta')).length, 0);
        assert.equal((await pool.client.get(providers, { name: 'beta' })).status?.phase, 'Withdrawn');
        for (const { metadata } of moving) {
          const instance = await pool.get(metadata.name!);
          assert.equal(instance.status?.phase, 'Running', metadata.name);
          assert.notEqual(instance.status.assignment?.providerName, 'beta');
        }
      },
      { timeoutMs: 60_000, what: 'beta to be empty and its instances to run elsewhere' },
    );
    await assertWithinAllocatable(pool);
    await pool.client.patch(providers, { name: 'beta' }, { spec: { available: true } });
    await eventually(async () => assert.equal((await pool.get('pinned-3')).status?.phase, 'Running'), {
      timeoutMs: 30_000,
      what: 'the pinned instances to come back',
    });
  });
});

/** The ledger never gives away more than a provider has. */
async function assertWithinAllocatable(pool: TestPool): Promise<void> {
  for (const ledger of (await pool.client.list(providerReservations)).items) {
    const provider = await pool.client.get(providers, { name: ledger.metadata.name! });
    const reserved = sumAmounts((ledger.spec.reservations ?? []).map((reservation) => reservation.amounts));
    for (const [resource, amount] of Object.entries(reserved)) {
      const allocatable = parseQuantity(provider.status?.allocatable?.[resource] ?? '0');
      assert.ok(compareQuantities(amount, allocatable) <= 0, `${resource} of ${ledger.metadata.name}`);
    }
  }
}
