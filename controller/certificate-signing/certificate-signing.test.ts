/** The executor against a client that fails at each step in turn: what a crash leaves is healed by the next pass. */
import assert from 'node:assert/strict';
import type { Provider } from '../../api/generated/provider.ts';
import { formatKey, parseKey } from '../../api/object.ts';
import { certificateSigningRequests, joinTokens, providers } from '../../api/resource-type.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import type { ReconcileContext } from '../../runtime/controller.ts';
import { createFakeClient } from '../../runtime/fake-client.ts';
import type { FakeClient } from '../../runtime/fake-client.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { CertificateSigning } from './certificate-signing.ts';
import { defaultKeepingTimes } from './judge-age.ts';
import { identityKey, nowMs, provider, request, testSigner, token } from './signing-fixtures.ts';

const context: ReconcileContext = { logger: silentLogger, signal: new AbortController().signal, nowMs };

class Pool {
  readonly client: FakeClient;
  readonly told: string[] = [];
  readonly signing: CertificateSigning;

  constructor() {
    const fake = createFakeClient();
    this.client = fake;
    this.signing = new CertificateSigning({
      client: { ...fake, ...rawRequests(fake) },
      requests: { get: (key: string) => this.find(key), whenSynced: () => Promise.resolve() } as Informer<CertificateSigningRequest>,
      providerOf: () => undefined,
      signer: testSigner,
      durationMs: 86_400_000,
      times: defaultKeepingTimes,
      tell: (about, { reason }) => this.told.push(`${about.kind} ${reason}`),
    });
  }

  find(key: string): CertificateSigningRequest | undefined {
    return this.client.objects(certificateSigningRequests).find(({ metadata }) => metadata.name === key);
  }

  /** What stands there now; approvals are the API's to keep. */
  async state(): Promise<{ claims: unknown; providers: Provider['spec'][]; request: CertificateSigningRequest['status'] }> {
    const [first] = this.client.objects(joinTokens);
    const [asked] = this.client.objects(certificateSigningRequests);
    const { items } = await this.client.list(providers);
    return { claims: first?.status?.claims, providers: items.map(({ spec }) => spec), request: asked?.status };
  }

  pass(): Promise<unknown> {
    return this.signing.reconcile(request().metadata.name!, context);
  }
}

/** The two plain requests that the duty makes: an approval, and a Provider that is only tried. */
function rawRequests(fake: FakeClient): Pick<Client, 'request' | 'patch'> {
  return {
    async request(method, path, body) {
      if (method === 'PUT') return fake.replaceStatus(certificateSigningRequests, body as CertificateSigningRequest);
      assert.equal(path, '/apis/potluck.dev/v1alpha1/providers?dryRun=All');
      await fake.list(providers);
      return body;
    },
    async patch(type, key, patch) {
      const current = await fake.get(type, parseKey(formatKey(key)));
      const { spec } = patch as { spec: object };
      const before = (current as unknown as { spec: object }).spec;
      return fake.replace(type, { ...current, spec: { ...before, ...spec } });
    },
  };
}

async function newPool(prepare: (client: FakeClient) => Promise<unknown> = () => Promise.resolve()): Promise<Pool> {
  const pool = new Pool();
  await prepare(pool.client);
  await pool.client.create(certificateSigningRequests, request());
  pool.client.calls.length = 0;
  return pool;
}

const preparations: [name: string, prepare: (client: FakeClient) => Promise<unknown>][] = [
  ['a new machine', (client) => client.create(joinTokens, token())],
  [
    'a machine that was here before',
    async (client) => {
      await client.create(joinTokens, token());
      await client.create(providers, provider('old', { identityKey }));
    },
  ],
  [
    'a Provider that was made for it',
    async (client) => {
      await client.create(joinTokens, token({ providerName: 'desk' }));
      await client.create(providers, provider('desk'));
    },
  ],
];

describe('CertificateSigning', () => {
  for (const [name, prepare] of preparations) {
    it(`ends the same wherever it was cut off: ${name}`, async () => {
      const whole = await newPool(prepare);
      await whole.pass();
      const wanted = await whole.state();
      assert.ok(wanted.request?.certificate);
      assert.equal(wanted.providers.length, 1);
      assert.equal(wanted.providers[0]?.identityKey, identityKey);
      const calls = whole.client.calls.length;
      assert.ok(calls >= 7, whole.client.calls.join());
      for (let cutAt = 1; cutAt <= calls; cutAt += 1) {
        for (const isWritten of [false, true]) {
          const pool = await newPool(prepare);
          await cutOff(pool, cutAt, isWritten);
          await pool.pass();
          assert.deepEqual(
            await pool.state(),
            wanted,
            `cut off at ${whole.client.calls[cutAt - 1]}, ${isWritten ? 'answer' : 'request'} lost`,
          );
        }
      }
    });
  }

  it('tells where a person would look, once the machine has its certificate', async () => {
    const pool = await newPool(preparations[0]![1]);
    await pool.pass();
    assert.deepEqual(pool.told, ['Provider ProviderJoined', 'JoinToken ProviderJoined']);
    await pool.pass();
    assert.equal(pool.told.length, 2);
  });

  it('spends a use and waits where an admin must approve', async () => {
    const pool = await newPool((client) => client.create(joinTokens, token({ approval: 'Manual' })));
    await pool.pass();
    const { claims, request: said, providers: made } = await pool.state();
    assert.deepEqual([(claims as unknown[]).length, said, made], [1, undefined, []]);
    assert.deepEqual(pool.told, ['JoinToken JoinWaits']);
  });

  it('lets fail what was approved by hand and cannot be signed', async () => {
    const pool = await newPool();
    const asked = pool.find(request().metadata.name!)!;
    const conditions = [{ type: 'Approved', status: 'True' as const }];
    await pool.client.replaceStatus(certificateSigningRequests, { ...asked, status: { conditions } });
    await pool.pass();
    assert.deepEqual(
      (await pool.state()).request?.conditions?.map(({ type, reason }) => `${type} ${reason}`),
      ['Approved undefined', 'Failed TokenSpent'],
    );
  });

  it('removes a request as it was seen, and no other', async () => {
    const pool = await newPool();
    const late = { ...context, nowMs: nowMs + defaultKeepingTimes.unsettledMs };
    await pool.signing.reconcile(request().metadata.name!, late);
    assert.equal(pool.find(request().metadata.name!), undefined);
    assert.deepEqual(pool.client.calls, [`delete ${request().metadata.name}`]);
  });
});

/** Lets the call of this number fail: before it did anything, or after. */
async function cutOff(pool: Pool, number: number, isWritten: boolean): Promise<void> {
  const { client } = pool;
  let calls = 0;
  const gateOf = Object.getOwnPropertyDescriptor(client, 'gate');
  Object.defineProperty(client, 'gate', {
    configurable: true,
    get: () => {
      calls += 1;
      if (calls === number + (isWritten ? 1 : 0)) throw new Error('cut off');
      return undefined;
    },
  });
  // The last call's answer may be lost after everything was done: then nothing fails.
  await pool.pass().catch((error: unknown) => {
    assert.equal((error as Error).message, 'cut off');
  });
  Object.defineProperty(client, 'gate', gateOf!);
}
