/** What users that stand for an object may touch, over real HTTPS and a real etcd: providers, members, and machines with a join token. */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { controllerUser, memberNamespace, providerLeaseNamespace, providersGroup, providerUser } from '../../api/names.ts';
import type { Pki } from '../../apiserver/access/pki.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { newSigningRequest } from '../support/signing-request.ts';
import { openRequest, rawRequest, readCredentials, type Credentials, type RawAnswer } from '../support/https-request.ts';

const potluck = '/apis/potluck.dev/v1alpha1';
const instancesPath = `${potluck}/namespaces/default/instances`;
const leasesPath = `/apis/coordination.k8s.io/v1/namespaces/${providerLeaseNamespace}/leases`;
const requestsPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const secret = 'abcdefghijklmnopqrstuvwxyz';
/** In which a connection must be cut. */
const cutMs = 2_000;

interface Machine {
  name: string;
  uid: string;
  credentials: Credentials;
  privateKey: KeyObject;
  identityKey: string;
}

describe('relations', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let pki: Pki;
  let admin: Required<Credentials>;
  let controller: Credentials;
  let own: Machine;
  let other: Machine;

  before(async () => {
    api = await startTestApiServer();
    admin = await readCredentials(api.kubeconfigPath);
    pki = await openPki({ directory: join(api.home, 'pki'), serverNames: ['127.0.0.1'], now: Date.now });
    controller = await credentialsOf(controllerUser, []);
    own = await machine('own');
    other = await machine('other');
  });
  after(() => api.stop());

  async function credentialsOf(commonName: string, organizations: string[]): Promise<Credentials> {
    const { certPem, keyPem } = await pki.issueClientCertificate({ commonName, organizations, lifetimeMs: 3_600_000 });
    return { ca: admin.ca, cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
  }
  const send = (as: Credentials, method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<RawAnswer> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return rawRequest(`${api.url}${path}`, as, { method, headers: { 'content-type': type, ...headers }, ...sent });
  };
  const get = (as: Credentials, path: string, headers: Record<string, string> = {}): Promise<RawAnswer> =>
    send(as, 'GET', path, undefined, headers);
  const made = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await send(admin, 'POST', path, body);
    assert.equal(answer.code, 201, answer.body.toString());
    return answer.json ?? {};
  };
  const messageOf = ({ json }: RawAnswer): string => String(json?.['message']);
  const refused = (answer: RawAnswer, message = /no relationship found between provider "own" and this object/u): void => {
    assert.equal(answer.code, 403, answer.body.toString());
    assert.match(messageOf(answer), message);
  };
  const allowed = (answer: RawAnswer, code = 200): void => assert.equal(answer.code, code, answer.body.toString());

  async function machine(name: string): Promise<Machine> {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const identityKey = String(publicKey.export({ format: 'jwk' }).x);
    const spec = { owner: 'ann', identityKey, offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } };
    const provider = await made(`${potluck}/providers`, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Provider', metadata: { name }, spec });
    const { uid } = provider['metadata'] as { uid: string };
    return { name, uid, credentials: await credentialsOf(providerUser(uid), [providersGroup]), privateKey, identityKey };
  }

  const assign = async (path: string, to: Machine | undefined, epoch = 3): Promise<void> => {
    const assignment = to === undefined ? null : { providerName: to.name, providerUID: to.uid, epoch };
    allowed(await send(controller, 'PATCH', `${path}/status`, { status: { assignment, lastEpoch: epoch } }));
  };

  async function instanceOf(provider: Machine | undefined, spec: object = {}): Promise<string> {
    const name = `i-${randomUUID().slice(0, 8)}`;
    await made(instancesPath, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name },
      spec: { image: 'debian:12', resources: { requests: { cpu: '1', memory: '1Gi' } }, ...spec },
    });
    const path = `${instancesPath}/${name}`;
    if (provider !== undefined) await assign(path, provider);
    return path;
  }

  /** An open watch, and when it ended. */
  async function watching(
    path: string,
    as: Credentials,
    headers: Record<string, string> = {},
  ): Promise<{ ended: Promise<number>; incoming: IncomingMessage }> {
    const incoming = await openRequest(`${api.url}${path}`, as, { headers });
    assert.equal(incoming.statusCode, 200);
    const ended = new Promise<number>((resolve) => {
      incoming.on('close', () => resolve(performance.now()));
    });
    incoming.on('error', () => undefined);
    incoming.resume();
    return { ended, incoming };
  }

  async function endsInTime(watch: { ended: Promise<number> }, act: () => Promise<unknown>): Promise<void> {
    const startedAt = performance.now();
    await act();
    const late = new Promise<never>((_resolve, reject) =>
      setTimeout(() => reject(new Error('the connection stays')), cutMs + 1_000).unref(),
    );
    const tookMs = (await Promise.race([watch.ended, late])) - startedAt;
    assert.ok(tookMs < cutMs, `${tookMs} ms`);
  }

  function signingRequest(name: string, spec: object = {}): object {
    const request = newSigningRequest();
    return {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name },
      spec: { signerName: 'potluck.dev/provider', usages: ['client auth', 'digital signature'], request, ...spec },
    };
  }

  describe('a provider', () => {
    it('reads itself, and of instances those that are assigned to it', async () => {
      allowed(await get(own.credentials, `${potluck}/providers/own`));
      refused(await get(own.credentials, `${potluck}/providers/other`));
      refused(await get(own.credentials, `${potluck}/providers`));
      allowed(await get(own.credentials, `${potluck}/providers?fieldSelector=metadata.name%3Down`));
      const mine = await instanceOf(own);
      const theirs = await instanceOf(other);
      const free = await instanceOf(undefined);
      allowed(await get(own.credentials, mine));
      refused(await get(own.credentials, theirs));
      refused(await get(own.credentials, free));
      refused(await get(own.credentials, `${instancesPath}/none`));
      assert.equal(
        messageOf(await get(own.credentials, theirs)),
        `instances.potluck.dev "${theirs.split('/').at(-1)}" is forbidden: User "system:provider:${own.uid}" cannot get resource "instances" in API group "potluck.dev" in the namespace "default": no relationship found between provider "own" and this object`,
      );
    });

    it('lists and watches instances by its own selector only', async () => {
      const path = await instanceOf(own);
      const selector = (uid: string): string => `fieldSelector=${encodeURIComponent(`status.assignment.providerUID=${uid}`)}`;
      const listed = await get(own.credentials, `${potluck}/instances?${selector(own.uid)}`);
      allowed(listed);
      const names = (listed.json?.['items'] as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
      assert.ok(names.includes(path.split('/').at(-1) ?? ''));
      const must = /can only list and watch instances with field selector "status\.assignment\.providerUID=/u;
      for (const query of [
        '',
        '?watch=1',
        `?${selector(other.uid)}`,
        `?watch=1&${selector(other.uid)}`,
        `?${selector(own.uid).replace('%3D', '!%3D')}`,
      ]) {
        refused(await get(own.credentials, `${potluck}/instances${query}`), must);
      }
      const watch = await watching(`${potluck}/instances?watch=1&${selector(own.uid)}`, own.credentials);
      watch.incoming.destroy();
    });

    it('writes the status of its own instance at its epoch, and nothing else of it', async () => {
      const path = await instanceOf(own);
      const status = (observedEpoch: number): object => ({ status: { observedEpoch, phase: 'Running' } });
      allowed(await send(own.credentials, 'PATCH', `${path}/status`, status(3)));
      refused(await send(own.credentials, 'PATCH', `${path}/status`, status(2)), /observedEpoch must be 3/u);
      refused(await send(other.credentials, 'PATCH', `${path}/status`, status(3)), /provider "other"/u);
      refused(await send(own.credentials, 'PATCH', path, { spec: { powerState: 'Stopped' } }), /cannot patch resource "instances"/u);
      refused(await send(own.credentials, 'DELETE', path), /cannot delete resource "instances"/u);
      refused(await send(own.credentials, 'DELETE', instancesPath), /cannot deletecollection/u);
      refused(await send(own.credentials, 'POST', instancesPath, {}), /cannot create resource "instances"/u);
      await assign(path, other, 4);
      refused(await send(own.credentials, 'PATCH', `${path}/status`, status(3)));
      allowed(await send(other.credentials, 'PATCH', `${path}/status`, status(4)));
    });

    it('reads the secrets and config maps that its instances name, while they are its own', async () => {
      for (const name of ['named', 'free']) {
        await made('/api/v1/namespaces/default/secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { a: 'b' } });
        await made('/api/v1/namespaces/default/configmaps', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { a: 'b' } });
      }
      const secrets = '/api/v1/namespaces/default/secrets';
      const spec = {
        env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'named', key: 'a' } } }],
        envFrom: [{ configMapRef: { name: 'named' } }, { secretRef: { name: 'absent' } }],
      };
      refused(await get(own.credentials, `${secrets}/named`));
      const path = await instanceOf(own, spec);
      await eventually(async () => allowed(await get(own.credentials, `${secrets}/named`)), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'the assignment to be known',
      });
      allowed(await get(own.credentials, '/api/v1/namespaces/default/configmaps/named'));
      allowed(await get(own.credentials, `${secrets}/absent`), 404);
      refused(await get(own.credentials, `${secrets}/free`));
      refused(await get(own.credentials, '/api/v1/namespaces/default/configmaps/free'));
      refused(await get(own.credentials, '/api/v1/namespaces/kube-system/secrets/named'));
      refused(await get(own.credentials, secrets), /cannot list resource "secrets"/u);
      refused(await get(own.credentials, `${secrets}?fieldSelector=metadata.name%3Dnamed`), /cannot list resource "secrets"/u);
      refused(await send(own.credentials, 'PATCH', `${secrets}/named`, {}), /cannot patch resource "secrets"/u);
      refused(await get(other.credentials, `${secrets}/named`), /provider "other"/u);
      await assign(path, other, 4);
      await eventually(async () => refused(await get(own.credentials, `${secrets}/named`)), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'it to be withdrawn',
      });
      allowed(await get(other.credentials, `${secrets}/named`));
      await assign(path, undefined, 5);
      await eventually(async () => refused(await get(other.credentials, `${secrets}/named`), /provider "other"/u), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'it to be withdrawn',
      });
    });

    it('makes a lease and an inventory under its own name only', async () => {
      const lease = (name: string): object => ({ metadata: { name }, spec: { holderIdentity: own.uid, leaseDurationSeconds: 40 } });
      refused(await send(own.credentials, 'POST', leasesPath, lease('other')));
      refused(await send(own.credentials, 'POST', leasesPath, { metadata: { generateName: 'own' }, spec: { holderIdentity: own.uid } }));
      refused(await send(own.credentials, 'POST', leasesPath.replace(providerLeaseNamespace, 'default'), lease('own')));
      allowed(await send(own.credentials, 'POST', leasesPath, lease('own')), 201);
      allowed(await get(own.credentials, `${leasesPath}/own`));
      refused(await get(own.credentials, leasesPath), /cannot list/u);
      const inventory = (name: string): object => ({
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'ProviderInventory',
        metadata: { name },
        spec: { owner: 'ann', providerUID: own.uid },
      });
      refused(await send(own.credentials, 'POST', `${potluck}/providerinventories`, inventory('other')));
      allowed(await send(own.credentials, 'POST', `${potluck}/providerinventories`, inventory('own')), 201);
      refused(await get(own.credentials, `${potluck}/providerinventories/other`));
      refused(await get(own.credentials, `${potluck}/providerreservations/other`));
      allowed(await get(own.credentials, `${potluck}/providerreservations/own`), 404);
    });

    it('tells what happens where it has instances, in its own name', async () => {
      await made('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'quiet' } });
      const event = (involvedObject: object, reportingInstance = 'own'): object => ({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `e-${randomUUID().slice(0, 8)}` },
        involvedObject: { ...involvedObject, namespace: 'default' },
        reason: 'Seen',
        reportingInstance,
        source: { component: 'tests', host: reportingInstance },
      });
      const path = '/api/v1/namespaces/default/events';
      const itself = { apiVersion: 'potluck.dev/v1alpha1', kind: 'Provider', name: 'own' };
      const told = await send(own.credentials, 'POST', path, event(itself));
      allowed(told, 201);
      allowed(await send(own.credentials, 'POST', path, event({ kind: 'Instance', name: 'i' })), 201);
      refused(await send(own.credentials, 'POST', path, event(itself, 'other')), /in its own name only/u);
      refused(await send(own.credentials, 'POST', path, event({ ...itself, name: 'other' })), /of itself and of instances only/u);
      refused(await send(own.credentials, 'POST', path, event({ kind: 'Namespace', name: 'x' })), /of itself and of instances only/u);
      refused(
        await send(own.credentials, 'POST', '/api/v1/namespaces/quiet/events', event({ kind: 'Instance', name: 'i', namespace: 'quiet' })),
      );
      const { name } = told.json?.['metadata'] as { name: string };
      allowed(await send(own.credentials, 'PATCH', `${path}/${name}`, { count: 2 }));
      refused(await send(other.credentials, 'PATCH', `${path}/${name}`, { count: 3 }), /in its own name only/u);
      refused(await send(other.credentials, 'PATCH', `${path}/${name}`, { reportingInstance: 'other' }), /in its own name only/u);
    });

    it('is told apart in reviews, which say what relationships give', async () => {
      const path = await instanceOf(own);
      const ask = async (resourceAttributes: object): Promise<Record<string, unknown>> => {
        const spec = { user: providerUser(own.uid), groups: [providersGroup, 'system:authenticated'], resourceAttributes };
        const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
        return (await made('/apis/authorization.k8s.io/v1/subjectaccessreviews', body))['status'] as Record<string, unknown>;
      };
      const instance = { group: 'potluck.dev', resource: 'instances', namespace: 'default' };
      assert.equal((await ask({ ...instance, verb: 'get', name: path.split('/').at(-1) }))['allowed'], true);
      assert.deepEqual(await ask({ ...instance, verb: 'get', name: 'none' }), {
        allowed: false,
        reason: 'no relationship found between provider "own" and this object',
      });
      const key = 'status.assignment.providerUID';
      assert.equal((await ask({ ...instance, verb: 'list' }))['allowed'], false);
      assert.equal((await ask({ ...instance, verb: 'list', fieldSelector: { rawSelector: `${key}=${own.uid}` } }))['allowed'], true);
      const requirements = (value: string): object => ({ requirements: [{ key, operator: 'In', values: [value] }] });
      assert.equal((await ask({ ...instance, verb: 'watch', fieldSelector: requirements(own.uid) }))['allowed'], true);
      assert.equal((await ask({ ...instance, verb: 'watch', fieldSelector: requirements(other.uid) }))['allowed'], false);
      const rules = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace: 'default' } };
      const answer = await send(own.credentials, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', rules);
      const { incomplete, evaluationError } = answer.json?.['status'] as Record<string, unknown>;
      assert.deepEqual(
        { incomplete, evaluationError },
        { incomplete: true, evaluationError: 'the relationship authorizer does not list rules' },
      );
      const self = await send(own.credentials, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'SelfSubjectReview',
      });
      const { userInfo } = self.json?.['status'] as { userInfo: { extra: unknown } };
      assert.deepEqual(userInfo.extra, { 'potluck.dev/provider-name': ['own'] });
    });

    it('asks for its certificates, and reads its own requests', async () => {
      const name = `provider-${own.uid}-abcdefghij`;
      allowed(await send(own.credentials, 'POST', requestsPath, signingRequest(name)), 201);
      allowed(await get(own.credentials, `${requestsPath}/${name}`));
      allowed(await get(own.credentials, `${requestsPath}?fieldSelector=metadata.name%3D${name}`));
      const watch = await watching(`${requestsPath}?watch=1&fieldSelector=metadata.name%3D${name}`, own.credentials);
      watch.incoming.destroy();
      refused(await get(other.credentials, `${requestsPath}/${name}`), /provider "other"/u);
      refused(await get(own.credentials, requestsPath));
      const body = signingRequest(`provider-${other.uid}-abcdefghij`);
      refused(await send(own.credentials, 'POST', requestsPath, body), /the name of a machine's signing request begins with/u);
      const elsewhere = signingRequest(`provider-${own.uid}-x`, { signerName: 'kubernetes.io/kube-apiserver-client' });
      refused(await send(own.credentials, 'POST', requestsPath, elsewhere), /of the signer potluck\.dev\/provider only/u);
      refused(
        await send(own.credentials, 'PATCH', `${requestsPath}/${name}/approval`, {}),
        /cannot patch resource "certificatesigningrequests\/approval"/u,
      );
      refused(await send(own.credentials, 'DELETE', `${requestsPath}/${name}`), /cannot delete/u);
    });

    it('takes itself out, and nobody else', async () => {
      const leaving = await machine('leaving');
      refused(await send(leaving.credentials, 'DELETE', `${potluck}/providers/own`), /provider "leaving"/u);
      allowed(await send(leaving.credentials, 'DELETE', `${potluck}/providers/leaving`));
      await eventually(async () => assert.equal((await get(leaving.credentials, '/version')).code, 401), {
        timeoutMs: cutMs,
        intervalMs: 5,
        what: 'it to be gone',
      });
    });
  });

  describe('a user whose object goes', () => {
    const selectorOf = ({ uid }: Machine): string =>
      `${potluck}/instances?watch=1&fieldSelector=${encodeURIComponent(`status.assignment.providerUID=${uid}`)}`;

    it('is known no more: a certificate of nothing, or of what was, is 401', async () => {
      const stranger = await credentialsOf(providerUser(randomUUID()), [providersGroup]);
      assert.equal((await get(stranger, '/version')).code, 401);
      const outsider = await credentialsOf(providerUser(own.uid), []);
      refused(await get(outsider, `${potluck}/providers/own`), /cannot get resource "providers"/u);
    });

    it('loses an open watch within two seconds when the object is deleted', async () => {
      const gone = await machine('gone');
      const watch = await watching(selectorOf(gone), gone.credentials);
      const bystander = await watching(selectorOf(own), own.credentials);
      await endsInTime(watch, () => send(admin, 'DELETE', `${potluck}/providers/gone`));
      assert.equal((await get(gone.credentials, '/version')).code, 401);
      const again = await machine('gone');
      allowed(await get(again.credentials, `${potluck}/providers/gone`));
      assert.equal((await get(gone.credentials, '/version')).code, 401, 'another of the same name is another');
      assert.equal(bystander.incoming.destroyed, false);
      bystander.incoming.destroy();
    });

    it('loses it when the object is being deleted, and when it is revoked', async () => {
      const finalized = await machine('finalized');
      allowed(await send(admin, 'PATCH', `${potluck}/providers/finalized`, { metadata: { finalizers: ['tests.dev/x'] } }));
      await endsInTime(await watching(selectorOf(finalized), finalized.credentials), () =>
        send(admin, 'DELETE', `${potluck}/providers/finalized`),
      );
      assert.equal((await get(finalized.credentials, '/version')).code, 401);
      await send(admin, 'PATCH', `${potluck}/providers/finalized`, { metadata: { finalizers: null } });
      const revoked = await machine('revoked');
      await endsInTime(await watching(selectorOf(revoked), revoked.credentials), () =>
        send(admin, 'PATCH', `${potluck}/providers/revoked`, { spec: { revoked: true } }),
      );
      assert.equal((await get(revoked.credentials, '/version')).code, 401);
      assert.equal((await recovering(revoked)).code, 401);
    });

    it('is let in again by a server that starts, while the object is there', async () => {
      await api.restart();
      allowed(await get(own.credentials, `${potluck}/providers/own`));
    });
  });

  interface Recovery {
    method?: string;
    body?: object;
    /** What the signature is over; default: what is asked for. */
    signedPath?: string;
    as?: Credentials;
  }

  /** Asks for a challenge and answers it; asks who it is where nothing else is given. */
  async function recovering(
    { identityKey, privateKey }: Pick<Machine, 'identityKey' | 'privateKey'>,
    path = '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    { method = 'POST', body, signedPath = path, as = { ca: admin.ca } }: Recovery = {},
  ): Promise<RawAnswer> {
    const first = await send(as, method, path, undefined, { authorization: `Potluck-Identity key="${identityKey}"` });
    const header = first.headers['www-authenticate'] ?? '';
    const challenge = /^Potluck-Identity challenge="([^"]+)"$/u.exec(header)?.[1] ?? '';
    const text = Buffer.from(`potluck-identity-v1\n${challenge}\n${method} ${signedPath}`);
    const signature = sign(null, text, privateKey).toString('base64url');
    const authorization = `Potluck-Identity key="${identityKey}", challenge="${challenge}", signature="${signature}"`;
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    return send(as, method, path, method === 'POST' ? (body ?? review) : undefined, { authorization });
  }

  describe('a machine whose certificate ran out', () => {
    it('gets in by its identity key, for signing requests only', async () => {
      const answer = await recovering(own);
      allowed(answer, 201);
      const { userInfo } = answer.json?.['status'] as { userInfo: Record<string, unknown> };
      assert.deepEqual(userInfo, {
        username: providerUser(own.uid),
        groups: ['system:provider-recovery', 'system:authenticated'],
        extra: { 'potluck.dev/provider-name': ['own'] },
      });
      const name = `provider-${own.uid}-recovering`;
      allowed(await recovering(own, requestsPath, { body: signingRequest(name) }), 201);
      allowed(await recovering(own, `${requestsPath}/${name}`, { method: 'GET' }));
      refused(await recovering(own, `${potluck}/providers/own`, { method: 'GET' }), /cannot get resource "providers"/u);
      refused(await recovering(own, `${requestsPath}/${name}`, { method: 'DELETE' }), /cannot delete/u);
      refused(await recovering(own, instancesPath), /cannot create resource "instances"/u);
      refused(await recovering(own, leasesPath), /cannot create resource "leases"/u);
    });

    it('is challenged whoever it is, and then refused with another key, for another request, or with a certificate', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const nobody = { identityKey: String(publicKey.export({ format: 'jwk' }).x), privateKey };
      const plain = await get({ ca: admin.ca }, '/version', { authorization: 'Bearer nonsense' });
      assert.equal(plain.code, 401);
      for (const answer of [
        await recovering(nobody),
        await recovering({ ...own, privateKey }),
        await recovering(own, undefined, { signedPath: '/version' }),
        await send({ ca: admin.ca }, 'POST', instancesPath, {}, { authorization: 'Potluck-Identity key="x"' }),
      ]) {
        assert.equal(answer.code, 401);
        assert.deepEqual(answer.body, plain.body);
        assert.equal(answer.headers['www-authenticate'], undefined);
      }
      const certified = await recovering(other, undefined, { as: own.credentials });
      const { userInfo } = certified.json?.['status'] as { userInfo: { username: string } };
      assert.equal(userInfo.username, providerUser(own.uid), 'the certificate counts');
    });
  });

  describe('a join token', () => {
    let bearer: (id: string, with_?: string) => Record<string, string>;
    const anybody = (): Credentials => ({ ca: admin.ca });

    before(() => {
      bearer = (id, with_ = secret) => ({ authorization: `Bearer plk1.${id}.${with_}` });
    });

    async function token(name: string, lifetimeMs = 900_000): Promise<void> {
      const secretHash = createHash('sha256').update(secret).digest('hex');
      const expirationTimestamp = new Date(Date.now() + lifetimeMs).toISOString().replace(/\.\d+Z$/u, 'Z');
      const spec = { owner: 'ann', secretHash, expirationTimestamp };
      await made(`${potluck}/jointokens`, { apiVersion: 'potluck.dev/v1alpha1', kind: 'JoinToken', metadata: { name }, spec });
    }

    it('makes its machine known, which may ask who it is and no more', async () => {
      await token('aaaaaaaa');
      const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      const answer = await send(anybody(), 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review, bearer('aaaaaaaa'));
      allowed(answer, 201);
      const { userInfo } = answer.json?.['status'] as { userInfo: Record<string, unknown> };
      assert.deepEqual(userInfo, { username: 'system:bootstrap:aaaaaaaa', groups: ['system:bootstrappers', 'system:authenticated'] });
      refused(await get(anybody(), `${potluck}/instances`, bearer('aaaaaaaa')), /cannot list resource "instances"/u);
      refused(await get(anybody(), `${potluck}/jointokens/aaaaaaaa`, bearer('aaaaaaaa')), /cannot get resource "jointokens"/u);
      refused(await get(anybody(), requestsPath, bearer('aaaaaaaa')), /cannot list resource "certificatesigningrequests"/u);
    });

    it('asks for a certificate in its own name, reads what it asked for, and once spent what its claim names', async () => {
      await token('bbbbbbbb');
      const as = (method: string, path: string, body?: object): Promise<RawAnswer> =>
        send(anybody(), method, path, body, bearer('bbbbbbbb'));
      const [won, lost] = ['join-bbbbbbbb-won', 'join-bbbbbbbb-lost'];
      for (const name of [won, lost]) {
        allowed(await as('POST', requestsPath, signingRequest(name)), 201);
        allowed(await as('GET', `${requestsPath}/${name}`));
      }
      refused(await as('POST', requestsPath, signingRequest('join-aaaaaaaa-x')), /begins with join- and the token's id/u);
      const elsewhere = signingRequest('join-bbbbbbbb-x', { signerName: 'kubernetes.io/kube-apiserver-client' });
      refused(await as('POST', requestsPath, elsewhere), /of the signer potluck\.dev\/provider only/u);
      refused(await as('GET', `${requestsPath}/provider-${own.uid}-abcdefghij`), /no relationship found between join token "bbbbbbbb"/u);
      const claim = { request: won, requestUID: 'u', claimedAt: '2030-01-01T00:00:00Z' };
      allowed(await send(admin, 'PATCH', `${potluck}/jointokens/bbbbbbbb/status`, { status: { claims: [claim] } }));
      await eventually(async () => allowed(await as('GET', `${requestsPath}/${lost}`), 401), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'the claim to be known',
      });
      allowed(await as('GET', `${requestsPath}/${won}`));
      const watch = await watching(`${requestsPath}?watch=1&fieldSelector=metadata.name%3D${won}`, anybody(), bearer('bbbbbbbb'));
      watch.incoming.destroy();
      allowed(await as('POST', requestsPath, signingRequest('join-bbbbbbbb-y')), 401);
      allowed(await as('GET', '/version'), 401);
    });

    it('is refused with the same bytes whatever is wrong with it', async () => {
      await token('expired1', -1_000);
      await token('deleted1');
      allowed(await send(admin, 'DELETE', `${potluck}/jointokens/deleted1`));
      await token('spent111');
      const claim = { request: 'join-spent111-x', requestUID: 'u', claimedAt: '2030-01-01T00:00:00Z' };
      allowed(await send(admin, 'PATCH', `${potluck}/jointokens/spent111/status`, { status: { claims: [claim] } }));
      await eventually(async () => assert.equal((await get(anybody(), '/version', bearer('spent111'))).code, 401), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'the claim to be known',
      });
      const answers = [
        await get(anybody(), '/version', bearer('unknown1')),
        await get(anybody(), '/version', bearer('aaaaaaaa', secret.replace('a', 'b'))),
        await get(anybody(), '/version', bearer('expired1')),
        await get(anybody(), '/version', bearer('deleted1')),
        await get(anybody(), '/version', bearer('spent111')),
        await get(anybody(), '/version', { authorization: 'Bearer plk1.' }),
        await get(anybody(), '/version', { authorization: 'Bearer x.y.z' }),
      ];
      const shown = answers.map(({ code, body, headers }) => ({ code, body: body.toString(), headers: { ...headers, date: '' } }));
      for (const one of shown) assert.deepEqual(one, shown[0]);
      assert.equal(shown[0]?.code, 401);
      // What its claim names can be asked for; that it is not there, or not its own, is another answer.
      assert.notEqual((await get(anybody(), `${requestsPath}/join-spent111-x`, bearer('spent111'))).code, 401);
      for (const path of [
        `${requestsPath}/join-spent111-y`,
        requestsPath,
        '/api/v1/namespaces/..%2f/x',
        `${potluck}/jointokens/spent111`,
      ]) {
        assert.equal((await get(anybody(), path, bearer('spent111'))).code, 401, path);
      }
    });

    it('that is deleted ends what was opened with it', async () => {
      await token('watching');
      const path = `${potluck}/jointokens?watch=1`;
      const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'tests' } };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
      const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'system:bootstrap:watching' }];
      await made('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', { ...binding, roleRef, subjects });
      const watch = await eventually(() => watching(path, anybody(), bearer('watching')), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'the binding to be in force',
      });
      await endsInTime(watch, () => send(admin, 'DELETE', `${potluck}/jointokens/watching`));
    });
  });

  describe('a member', () => {
    let ann: { authorization: string };
    const anybody = (): Credentials => ({ ca: admin.ca });

    before(async () => {
      await made(`${potluck}/members`, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name: 'ann' }, spec: {} });
      await made(`${potluck}/members`, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name: 'bob' }, spec: {} });
      await api.kubectl(['create', 'namespace', memberNamespace]);
      for (const name of ['ann', 'ghost']) await api.kubectl(['create', 'serviceaccount', name, '-n', memberNamespace]);
      ann = await tokenOf('ann');
    });

    async function tokenOf(name: string): Promise<{ authorization: string }> {
      const { stdout, stderr } = await api.kubectl(['create', 'token', name, '-n', memberNamespace]);
      assert.notEqual(stdout.trim(), '', stderr);
      return { authorization: `Bearer ${stdout.trim()}` };
    }

    it('has its own Member, machines, inventories and join tokens', async () => {
      const as = (method: string, path: string, body?: object): Promise<RawAnswer> =>
        send(anybody(), method, `${potluck}${path}`, body, ann);
      const stranger = /no relationship found between member "ann"/u;
      allowed(await as('GET', '/members/ann'));
      refused(await as('GET', '/members/bob'), stranger);
      allowed(await as('PATCH', '/providers/own', { spec: { available: false } }));
      await made(`${potluck}/providers`, {
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'Provider',
        metadata: { name: 'bobs' },
        spec: { owner: 'bob', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } },
      });
      refused(await as('PATCH', '/providers/bobs', { spec: { available: false } }), stranger);
      refused(await as('DELETE', '/providers/bobs'), stranger);
      allowed(await as('GET', '/providerinventories/own'));
      allowed(await as('GET', '/providerinventories?fieldSelector=spec.owner%3Dann'));
      refused(
        await as('GET', '/providerinventories'),
        /can only list and watch providerinventories with field selector "spec\.owner=ann"/u,
      );
      refused(await as('GET', '/providerinventories?fieldSelector=spec.owner%3Dbob'), /can only list and watch/u);
      allowed(await as('GET', '/jointokens?fieldSelector=spec.owner%3Dann'));
      allowed(await as('DELETE', '/jointokens/aaaaaaaa'));
    });

    it('is nobody without a Member, and loses what is open with it', async () => {
      assert.equal((await get(anybody(), '/version', await tokenOf('ghost'))).code, 401);
      const watch = await watching(`${potluck}/members?watch=1&fieldSelector=metadata.name%3Dann`, anybody(), ann);
      await endsInTime(watch, () => send(admin, 'DELETE', `${potluck}/members/ann`));
      assert.equal((await get(anybody(), '/version', ann)).code, 401);
    });
  });
});
