import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { instances, providerReservations } from '../../api/resource-type.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

const victims = ['api', 'controller', 'agent', 'etcd', 'dockerd'] as const;
const count = 20;

describe('kill -9 in the middle of 20 creations', function () {
  this.timeout(300_000);
  let pool: TestPool;
  before(async () => {
    pool = await startTestPool({ providers: [{ name: 'desktop', region: 'eu-west', offer: { cpu: '2', memory: '2Gi', disk: '4Gi' } }] });
  });
  after(async () => {
    await pool.stop();
  });

  for (const victim of victims) {
    it(`of ${victim}: after its restart exactly one container per instance, no orphan, every object true`, async () => {
      const names = Array.from({ length: count }, (_, n) => `${victim}-${n}`);
      const creations = createAll(pool, names);
      await eventually(async () => assert.ok((await pool.client.list(instances)).items.length >= count / 4), {
        timeoutMs: 30_000,
        what: 'the first creations',
        intervalMs: 20,
      });
      await pool.killHard(victim);
      await pool.restart(victim);
      await creations;
      await eventually(async () => assertTrue(pool, names), { timeoutMs: 120_000, what: 'the world to be as declared' });
      await Promise.all(names.map((name) => pool.client.delete(instances, { namespace: 'default', name })));
      await eventually(
        async () => {
          assert.equal((await pool.client.list(instances)).items.length, 0);
          assert.equal((await pool.containers('desktop')).length, 0);
          const ledger = await pool.client.get(providerReservations, { name: 'desktop' });
          assert.deepEqual(ledger.spec.reservations ?? [], []);
        },
        { timeoutMs: 60_000, what: 'everything to be gone' },
      );
    });
  }
});

/** Creates one after another, as a patient user does: what the API did not acknowledge is sent again. */
async function createAll(pool: TestPool, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await eventually(
      async () => {
        await pool.client
          .create(instances, instanceManifest(name, { requests: { cpu: '50m', memory: '16Mi' } }))
          .catch((error: unknown) => {
            if ((error as { reason?: string }).reason !== 'AlreadyExists') throw error;
          });
      },
      { timeoutMs: 30_000, what: `the creation of ${name}`, intervalMs: 100 },
    );
  }
}

async function assertTrue(pool: TestPool, names: readonly string[]): Promise<void> {
  const containers = await pool.containers('desktop');
  const uids = containers.map((container) => container.instanceUid).sort();
  const objects = (await pool.client.list(instances)).items;
  assert.deepEqual(objects.map((object) => object.metadata.name).sort(), [...names].sort());
  assert.deepEqual(uids, objects.map((object) => object.metadata.uid).sort());
  for (const object of objects) {
    assert.equal(object.status?.phase, 'Running', object.metadata.name);
    const container = containers.find((candidate) => candidate.instanceUid === object.metadata.uid);
    assert.equal(container?.running, true, object.metadata.name);
    assert.equal(object.status.containerID, `docker://${container.id}`);
  }
}
