import assert from 'node:assert/strict';
import { namespaces } from '../api/resource-type.ts';
import type { Namespace } from '../api/resource-type.ts';
import { ApiError } from '../client/client.ts';
import { createFakeClient } from './fake-client.ts';
import type { FakeClient } from './fake-client.ts';
import { updateObject, updateStatus } from './status-writer.ts';

describe('updateStatus()', () => {
  const key = { name: 'toto' };
  let client: FakeClient;

  beforeEach(async () => {
    client = createFakeClient();
    await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'toto' } });
    client.calls.length = 0;
  });

  const terminate = (object: Namespace): void => {
    object.status = { phase: 'Terminating' };
  };

  it('writes what mutate changed, with the version that was read', async () => {
    const written = await updateStatus(client, namespaces, key, terminate);
    assert.equal(written.status?.phase, 'Terminating');
    assert.equal(written.metadata.resourceVersion, '2');
    assert.deepEqual(client.calls, ['get toto', 'replaceStatus toto']);
  });

  it('writes nothing when nothing changed, and when mutate answers false', async () => {
    await updateStatus(client, namespaces, key, terminate);
    client.calls.length = 0;
    await updateStatus(client, namespaces, key, terminate);
    await updateStatus(client, namespaces, key, (object) => {
      object.metadata.labels = undefined as never;
    });
    await updateStatus(client, namespaces, key, (object) => {
      object.status = { phase: 'Active' };
      return false;
    });
    assert.deepEqual(client.calls, ['get toto', 'get toto', 'get toto']);
  });

  it('decides anew on a fresh read after a conflict', async () => {
    let runs = 0;
    const written = await updateStatus(client, namespaces, key, (object) => {
      runs += 1;
      if (runs === 1) client.disturb(namespaces, key);
      object.status = { phase: runs === 1 ? 'Terminating' : 'Active' };
    });
    assert.deepEqual([runs, written.status?.phase, written.metadata.annotations?.['disturbed']], [2, 'Active', '1']);
  });

  it('saves the read when it is given a copy, and reads when that copy is old', async () => {
    const from = await client.get(namespaces, key);
    client.calls.length = 0;
    await updateStatus(client, namespaces, key, terminate, { from });
    assert.deepEqual(client.calls, ['replaceStatus toto']);
    assert.equal(from.status, undefined);
    await updateStatus(client, namespaces, key, (object) => void (object.status = { phase: 'Active' }), { from });
    assert.deepEqual(client.calls.slice(1), ['replaceStatus toto', 'get toto', 'replaceStatus toto']);
  });

  it('gives up after five conflicts, and at once on any other failure', async () => {
    let runs = 0;
    const disturbed = updateObject(client, namespaces, key, (object) => {
      runs += 1;
      client.disturb(namespaces, key);
      object.metadata.finalizers = ['x'];
    });
    await assert.rejects(disturbed, { code: 409 });
    assert.equal(runs, 5);
    client.failNext(new ApiError(500, undefined, 'broken'));
    await assert.rejects(updateStatus(client, namespaces, key, terminate), { code: 500 });
  });
});
