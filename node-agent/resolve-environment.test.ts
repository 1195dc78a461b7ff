import assert from 'node:assert/strict';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { configMaps, secrets } from '../api/resource-type.ts';
import { ApiError } from '../client/client.ts';
import { createFakeClient } from '../runtime/fake-client.ts';
import type { FakeClient } from '../runtime/fake-client.ts';
import { desiredInstance } from './desired-instance.ts';
import type { DesiredInstance } from './plan/world.ts';
import { EnvironmentError, resolveEnvironment } from './resolve-environment.ts';

const namespace = 'toto';

function desired(spec: Partial<Instance['spec']>): DesiredInstance {
  const instance: Instance = {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name: 'a', namespace, uid: 'u', generation: 1 },
    spec: { image: 'debian:12', resources: { requests: { cpu: 1, memory: '1Gi' } }, ...spec },
    status: { assignment: { providerName: 'desk', providerUID: 'p', epoch: 1 } },
  };
  const provider: Provider = { apiVersion: '', kind: '', metadata: {}, spec: { owner: 'alan', offer: {} } };
  const found = desiredInstance({ instance, provider, providerUid: 'p', verdict: undefined });
  assert.ok(found);
  return found;
}

describe('resolveEnvironment()', () => {
  let client: FakeClient;

  beforeEach(async () => {
    client = createFakeClient();
    const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
    const data = { user: base64('toto'), password: base64('p=ä\nß'), binary: base64(Buffer.of(0xff, 0xfe)), nul: base64('a\0b') };
    const inside = (name: string): { name: string; namespace: string } => ({ name, namespace });
    await client.create(secrets, { apiVersion: 'v1', kind: 'Secret', metadata: inside('db'), data });
    await client.create(secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: inside('text'),
      data: { user: base64('titi'), '1st': base64('') },
    });
    await client.create(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: inside('app'),
      data: { colour: 'red', user: 'nobody' },
    });
    await client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: inside('empty') });
    client.calls.length = 0;
  });

  async function resolve(spec: Partial<Instance['spec']>): Promise<Record<string, string>> {
    const env = await resolveEnvironment(client, { namespace, entries: desired(spec).environment });
    return Object.fromEntries(env.map(({ name, value }) => [name, value]));
  }

  async function failure(spec: Partial<Instance['spec']>): Promise<string> {
    const error: unknown = await resolve(spec).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof EnvironmentError);
    return error.message;
  }

  const secretKey = (name: string, key: string, optional?: boolean): Partial<Instance['spec']> => {
    const secretKeyRef = { name, key, ...(optional === undefined ? {} : { optional }) };
    return { env: [{ name: 'A', valueFrom: { secretKeyRef } }] };
  };
  const mapKey = (name: string, key: string): Partial<Instance['spec']> => ({
    env: [{ name: 'A', valueFrom: { configMapKeyRef: { name, key } } }],
  });

  it('takes values, keys and whole objects; a later one counts, and env over all', async () => {
    const spec: Partial<Instance['spec']> = {
      envFrom: [{ configMapRef: { name: 'app' } }, { secretRef: { name: 'text' } }, { prefix: 'P_', configMapRef: { name: 'app' } }],
      env: [
        { name: 'colour', value: 'blue' },
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
        { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'app', key: 'colour' } } },
      ],
    };
    const expected = { colour: 'blue', user: 'titi', '1st': '', P_colour: 'red', P_user: 'nobody', PASSWORD: 'p=ä\nß', COLOUR: 'red' };
    assert.deepEqual(await resolve(spec), expected);
    assert.deepEqual(client.calls, ['get toto/app', 'get toto/text', 'get toto/db']);
  });

  it('says what is missing in the words of Kubernetes', async () => {
    assert.equal(await failure(secretKey('none', 'x')), 'secret "none" not found');
    assert.equal(await failure(secretKey('db', 'x')), "couldn't find key x in Secret toto/db");
    assert.equal(await failure(mapKey('none', 'x')), 'configmap "none" not found');
    assert.equal(await failure(mapKey('empty', 'x')), "couldn't find key x in ConfigMap toto/empty");
    assert.equal(await failure({ envFrom: [{ secretRef: { name: 'none' } }] }), 'secret "none" not found');
  });

  it('leaves out what is optional and missing', async () => {
    assert.deepEqual(await resolve(secretKey('none', 'x', true)), {});
    assert.deepEqual(await resolve(secretKey('db', 'x', true)), {});
    assert.deepEqual(await resolve({ envFrom: [{ configMapRef: { name: 'none', optional: true } }] }), {});
    const both = { envFrom: [{ secretRef: { name: 'none', optional: true } }, { secretRef: { name: 'none' } }] };
    assert.equal(await failure(both), 'secret "none" not found');
  });

  it('takes no value that can be no variable, and never says what it is', async () => {
    assert.equal(
      await failure(secretKey('db', 'binary')),
      'the value of key binary in Secret toto/db is no text, so it cannot be an environment variable',
    );
    assert.ok(!(await failure(secretKey('db', 'nul'))).includes('a\0b'));
    await client.create(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'big', namespace },
      data: { a: 'x'.repeat(1024 * 1024) },
    });
    assert.match(
      await failure({ envFrom: [{ configMapRef: { name: 'big' } }] }),
      /^the environment has 1048577 bytes, and may have 1048576$/,
    );
  });

  it('says that it may not, or that the API is away', async () => {
    client.failNext(new ApiError(403, undefined, 'secrets "db" is forbidden'), new Error('connect ECONNREFUSED'));
    assert.equal(await failure(secretKey('db', 'user', true)), 'Secret toto/db cannot be read: secrets "db" is forbidden');
    assert.equal(await failure(secretKey('db', 'user', true)), 'Secret toto/db cannot be read: the API does not answer');
  });
});

describe('desiredInstance()', () => {
  const hash = (spec: Partial<Instance['spec']>): string => desired(spec).specHash;

  it('wants another container when a reference changes, and the same as ever where there is none', () => {
    // As agents before references wrote it on their containers.
    assert.equal(hash({ env: [{ name: 'A', value: 'b' }] }), '5fe45e1e2b4bef79');
    const ref = (key: string): Partial<Instance['spec']> => ({ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key } } }] });
    const from = (name: string): Partial<Instance['spec']> => ({ envFrom: [{ secretRef: { name } }] });
    const hashes = [{}, ref('k'), ref('l'), from('s'), from('t')].map(hash);
    assert.equal(new Set(hashes).size, hashes.length);
    assert.deepEqual([ref('k'), from('s')].map(hash), [hashes[1], hashes[3]]);
  });
});
