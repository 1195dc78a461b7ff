/** How machines get certificates: a real API server and etcd, the controller in this process or killed as one of its own, real kubectls. */
import assert from 'node:assert/strict';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { JoinToken } from '../../api/generated/join-token.ts';
import type { Member } from '../../api/generated/member.ts';
import type { Provider } from '../../api/generated/provider.ts';
import {
  identityKeyAnnotation,
  identitySignatureAnnotation,
  locationAnnotation,
  offerAnnotation,
  providerNameAnnotation,
} from '../../api/names.ts';
import { apiVersionOf, certificateSigningRequests, events, joinTokens, members, providers } from '../../api/resource-type.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { makeRequest } from '../../apiserver/access/request-fixtures.ts';
import type { RequestOptions } from '../../apiserver/access/request-fixtures.ts';
import { isNotFound } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { signingOptions } from '../../cli/cluster-signing.ts';
import { poolPaths } from '../../cli/up/pool-paths.ts';
import { startController } from '../../controller/reconcilers.ts';
import type { RunningController, SigningOptions } from '../../controller/reconcilers.ts';
import { silentLogger } from '../../runtime/logger.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { runKubectl, startTestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import type { Credentials, RawAnswer } from '../support/https-request.ts';
import { rawRequest, readCredentials } from '../support/https-request.ts';
import type { CertificateKey, JoinRequestOptions, MachineIdentity } from '../support/joining-machine.ts';
import { joinRequest, newCertificateKey, newIdentity, randomName, requestPem, signingRequest } from '../support/joining-machine.ts';
import { findOldKubectl } from '../support/old-kubectl.ts';
import { startPotluck } from '../support/processes.ts';

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const settleTimeoutMs = 15_000;

describe('signing requests', function () {
  this.timeout(120_000);
  let api: TestApiServer;
  let admin: Required<Credentials>;
  let client: KubeClient;
  const running: RunningController[] = [];

  before(async () => {
    api = await startTestApiServer();
    admin = await readCredentials(api.kubeconfigPath);
    client = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'potluck-test' });
  });
  after(async () => {
    client.close();
    await api.stop();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((controller) => controller.stop()));
    for (const type of [certificateSigningRequests, joinTokens, providers, members]) {
      for (const { metadata } of (await client.list<CertificateSigningRequest | JoinToken | Provider | Member>(type)).items) {
        await client
          .delete<CertificateSigningRequest | JoinToken | Provider | Member>(type, { name: metadata.name! })
          .catch(ignoreNotFound);
      }
    }
  });

  async function start(more: Partial<SigningOptions> = {}): Promise<void> {
    const flags = { 'cluster-signing-cert-file': undefined, 'cluster-signing-key-file': undefined, 'cluster-signing-duration': '24h' };
    const signing = await signingOptions(flags, poolPaths(api.home));
    assert.ok(signing);
    const options = { client, logger: silentLogger, identity: 'test', leaderElection: false, signing: { ...signing, ...more } };
    running.push(await startController(options));
  }

  interface Token {
    id: string;
    /** As it is sent. */
    bearer: string;
  }

  async function newToken(spec: Partial<JoinToken['spec']> = {}): Promise<Token> {
    const id = randomName(8);
    const secret = [...randomBytes(26)].map((byte) => 'abcdefghijklmnopqrstuvwxyz234567'[byte & 31]).join('');
    await client.create(joinTokens, {
      apiVersion: apiVersionOf(joinTokens),
      kind: joinTokens.kind,
      metadata: { name: id },
      spec: {
        owner: 'alan',
        secretHash: createHash('sha256').update(secret).digest('hex'),
        expirationTimestamp: new Date(Date.now() + 3_600_000).toISOString(),
        ...spec,
      },
    });
    return { id, bearer: `plk1.${id}.${secret}` };
  }

  function post(body: CertificateSigningRequest, bearer: string): Promise<RawAnswer> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` };
    return rawRequest(`${api.url}${collection}`, { ca: admin.ca }, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** As a machine does, by its token; the token may be younger than the server's cache. */
  async function ask(token: Token, request: CertificateSigningRequest): Promise<string> {
    await eventually(
      async () => {
        const { code, body } = await post(request, token.bearer);
        assert.equal(code, 201, body.toString());
      },
      { timeoutMs: 3_000, intervalMs: 10, what: 'the request to be taken' },
    );
    return request.metadata.name!;
  }

  const get = (name: string): Promise<CertificateSigningRequest> => client.get(certificateSigningRequests, { name });
  const conditionOf = (request: CertificateSigningRequest, type: string): { reason?: string; message?: string } | undefined =>
    request.status?.conditions?.find((condition) => condition.type === type);

  function untilSettled(name: string): Promise<CertificateSigningRequest> {
    return eventually(
      async () => {
        const request = await get(name);
        const types = request.status?.conditions?.map(({ type }) => type) ?? [];
        assert.ok(request.status?.certificate !== undefined || types.includes('Denied') || types.includes('Failed'), types.join());
        return request;
      },
      { timeoutMs: settleTimeoutMs, intervalMs: 20, what: `${name} to be settled` },
    );
  }

  async function untilIssued(name: string): Promise<X509Certificate> {
    const request = await untilSettled(name);
    assert.ok(request.status?.certificate, JSON.stringify(request.status?.conditions));
    return new X509Certificate(Buffer.from(request.status.certificate, 'base64'));
  }

  async function refusalOf(name: string, type: 'Denied' | 'Failed' = 'Denied'): Promise<string> {
    const request = await untilSettled(name);
    assert.equal(request.status?.certificate, undefined);
    const { reason = '', message = '' } = conditionOf(request, type) ?? {};
    return `${reason}: ${message}`;
  }

  interface Joined {
    identity: MachineIdentity;
    key: CertificateKey;
    certificate: X509Certificate;
    provider: Provider;
  }

  async function admit(token: Token, more: Partial<JoinRequestOptions> = {}): Promise<Joined> {
    const { identity = newIdentity(), key = await newCertificateKey() } = more;
    const certificate = await untilIssued(await ask(token, joinRequest({ tokenId: token.id, key, identity, ...more })));
    const { items } = await client.list(providers);
    const provider = items.find(({ spec }) => spec.identityKey === identity.publicText);
    assert.ok(provider);
    return { identity, key, certificate, provider };
  }

  const credentialsOf = ({ key, certificate }: Pick<Joined, 'key' | 'certificate'>): Credentials => ({
    ca: admin.ca,
    cert: Buffer.from(certificate.toString()),
    key: Buffer.from(key.keyPem),
  });

  describe('of machines that join', () => {
    it('become a Provider and a certificate of our making, whatever else was asked for', async () => {
      await start();
      const token = await newToken();
      const before = Date.now();
      const { provider, certificate, key, identity } = await admit(token, {
        key: await newCertificateKey('O=system:masters,CN=admin'),
        annotations: { [locationAnnotation]: '{"region":"eu-west","latitude":45.1885,"longitude":5.7245}' },
      });
      assert.equal(provider.metadata.name, 'desk');
      assert.equal(provider.spec.owner, 'alan');
      assert.deepEqual(provider.spec.offer, { cpu: '4', memory: '8Gi', disk: '100Gi' });
      assert.deepEqual(provider.spec.location, { region: 'eu-west', latitude: 45.2, longitude: 5.7 }, 'nobody’s address is kept');
      assert.equal(provider.spec.identityKey, identity.publicText);
      assert.equal(certificate.subject, `O=system:providers\nCN=system:provider:${provider.metadata.uid}`);
      assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'], 'client authentication only');
      assert.equal(certificate.subjectAltName, undefined);
      assert.equal(certificate.ca, false);
      assert.ok(certificate.checkIssued(new X509Certificate(admin.ca)) && certificate.verify(new X509Certificate(admin.ca).publicKey));
      const [fromMs, toMs] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
      assert.ok(Math.abs(before - 3_600_000 - fromMs) < 10_000, certificate.validFrom);
      assert.ok(Math.abs(before + 86_400_000 - toMs) < 10_000, certificate.validTo);
      const whoAmI = await rawRequest(`${api.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`, credentialsOf({ key, certificate }), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}',
      });
      assert.match(whoAmI.body.toString(), new RegExp(`"username":"system:provider:${provider.metadata.uid}"`, 'u'));
      const { status } = await client.get(joinTokens, { name: token.id });
      assert.deepEqual(
        status?.claims?.map(({ providerName }) => providerName),
        ['desk'],
      );
      await eventually(
        async () => {
          const { items } = await client.list(events, { namespace: 'default', fieldSelector: 'reason=ProviderJoined' });
          const about = items.map(({ involvedObject }) => involvedObject.uid);
          assert.ok([provider, await client.get(joinTokens, { name: token.id })].every(({ metadata }) => about.includes(metadata.uid)));
        },
        { timeoutMs: 5_000, what: 'the events' },
      );
    });

    it('find the Provider that they were, adopt the one made for them, and get a name of their own otherwise', async () => {
      await start();
      const first = await admit(await newToken());
      const again = await admit(await newToken(), { identity: first.identity, annotations: { [providerNameAnnotation]: 'other' } });
      assert.equal(again.provider.metadata.uid, first.provider.metadata.uid);
      assert.equal((await admit(await newToken())).provider.metadata.name, 'desk-2');
      assert.equal((await admit(await newToken())).provider.metadata.name, 'desk-3');
      const prepared = await client.create(providers, providerNamed('prepared', 'alan'));
      const adopted = await admit(await newToken({ providerName: 'prepared' }));
      assert.equal(adopted.provider.metadata.uid, prepared.metadata.uid);
      assert.deepEqual(adopted.provider.spec.offer, { cpu: '1', memory: '1Gi', disk: '1Gi' }, 'what an admin wrote stays');
    });

    it('are refused where a name or an identity is another’s, and spend no use', async () => {
      await start();
      const first = await admit(await newToken());
      await client.create(providers, providerNamed('grace', 'grace'));
      const key = await newCertificateKey();
      const attempt = async (token: Token, identity: MachineIdentity): Promise<string> => {
        const refusal = await refusalOf(await ask(token, joinRequest({ tokenId: token.id, key, identity })), 'Failed');
        assert.equal((await client.get(joinTokens, { name: token.id })).status?.claims, undefined);
        return refusal;
      };
      assert.match(
        await attempt(await newToken({ providerName: 'desk' }), newIdentity()),
        /^NameTaken: the name desk.* with another identity key/u,
      );
      assert.match(
        await attempt(await newToken({ providerName: 'grace' }), newIdentity()),
        /^NameTaken: the name grace.* of another owner/u,
      );
      assert.match(await attempt(await newToken({ owner: 'grace' }), first.identity), /^IdentityTaken: .*belongs to another owner/u);
      await client.patch(providers, { name: 'desk' }, { spec: { revoked: true } });
      assert.match(await attempt(await newToken(), first.identity), /^ProviderRevoked: /u);
    });

    it('are told the same of every token that does not let them in', async () => {
      await start();
      const spent = await newToken();
      await admit(spent);
      const refusals = new Set<string>();
      const asBootstrapper = async (id: string): Promise<string> => {
        const request = joinRequest({ tokenId: id, key: await newCertificateKey(), identity: newIdentity() });
        // What authentication refuses already: an admin lends the machine's name.
        const as = ['--as', `system:bootstrap:${id}`, '--as-group', 'system:bootstrappers'];
        const { code, stderr } = await api.kubectl(['create', ...as, '-f', '-'], JSON.stringify(request));
        assert.equal(code, 0, stderr);
        return request.metadata.name!;
      };
      const expired = await newToken({ expirationTimestamp: new Date(Date.now() - 60_000).toISOString() });
      for (const id of [spent.id, expired.id, 'nosuch00']) refusals.add(await refusalOf(await asBootstrapper(id)));
      assert.equal(refusals.size, 1);
      assert.match([...refusals][0]!, /^TokenSpent: the join token does not let this machine in/u);
    });

    it('need an owner who may lend', async () => {
      await start();
      const member: Member = {
        apiVersion: apiVersionOf(members),
        kind: members.kind,
        metadata: { name: 'tim' },
        spec: { permissions: ['Use'] },
      };
      await client.create(members, member);
      const token = await newToken({ owner: 'tim' });
      const request = (): Promise<string> =>
        newCertificateKey().then((key) => ask(token, joinRequest({ tokenId: token.id, key, identity: newIdentity() })));
      assert.match(await refusalOf(await request()), /^OwnerMayNotLend: tim may not lend/u);
      await client.patch(members, { name: 'tim' }, { spec: { permissions: ['Use', 'Lend'] } });
      await untilIssued(await request());
    });

    it('wait for an admin where the token says so, who approves or denies by kubectl', async () => {
      await start();
      const manual = await newToken({ approval: 'Manual', uses: 2 });
      const ask_ = async (): Promise<string> =>
        ask(manual, joinRequest({ tokenId: manual.id, key: await newCertificateKey(), identity: newIdentity() }));
      const [good, bad] = [await ask_(), await ask_()];
      await eventually(async () => assert.equal((await client.get(joinTokens, { name: manual.id })).status?.claims?.length, 2), {
        timeoutMs: 5_000,
        what: 'both to be claimed for',
      });
      assert.equal((await get(good)).status?.conditions, undefined);
      assert.equal((await client.list(providers)).items.length, 0);
      assert.match((await api.kubectl(['get', 'csr', good])).stdout, /potluck\.dev\/provider +system:bootstrap:\S+ +<none> +Pending/u);
      assert.match((await api.kubectl(['certificate', 'approve', good])).stdout, /approved/u);
      assert.match((await api.kubectl(['certificate', 'deny', bad])).stdout, /denied/u);
      await untilIssued(good);
      assert.match((await api.kubectl(['get', 'csr', good])).stdout, /Approved,Issued/u);
      assert.match(await refusalOf(bad), /^KubectlDeny: /u);
      assert.equal((await client.list(providers)).items.length, 1);
    });

    it('race for one use, and exactly one wins, twenty times', async () => {
      // Two that decide at once, as when one leads that does not know yet that it no longer does.
      await start();
      await start();
      const races = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const token = await newToken();
          const requests = await Promise.all(
            [0, 1].map(async () =>
              joinRequest({
                tokenId: token.id,
                key: await newCertificateKey(),
                identity: newIdentity(),
                annotations: { [providerNameAnnotation]: `race-${index}` },
              }),
            ),
          );
          await ask(token, requests[0]!);
          const second = await post(requests[1]!, token.bearer);
          return { token, names: second.code === 201 ? requests.map(({ metadata }) => metadata.name!) : [requests[0]!.metadata.name!] };
        }),
      );
      assert.ok(races.filter(({ names }) => names.length === 2).length > 5, 'most of them are races');
      for (const { token, names } of races) {
        const settled = await Promise.all(names.map(untilSettled));
        const won = settled.filter(({ status }) => status?.certificate !== undefined);
        assert.equal(won.length, 1, token.id);
        for (const lost of settled) if (lost !== won[0]) assert.equal(conditionOf(lost, 'Denied')?.reason, 'TokenSpent');
        assert.deepEqual(
          (await client.get(joinTokens, { name: token.id })).status?.claims?.map(({ request }) => request),
          [won[0]?.metadata.name],
        );
      }
      assert.equal((await client.list(providers)).items.length, 20);
    });

    it('are let in all the same when the controller is killed in between', async () => {
      const home = join(api.home, 'controller');
      const pki = join(api.home, 'pki');
      const args = ['server', '--components=controller', '--home', home, '--kubeconfig', join(pki, 'controller.kubeconfig')];
      const files = ['--cluster-signing-cert-file', join(pki, 'ca.crt'), '--cluster-signing-key-file', join(pki, 'ca.key')];
      const controller = await startPotluck(
        'controller',
        [...args, ...files, '--cluster-signing-duration', '90m'],
        join(home, 'controller.log'),
      );
      try {
        const names: string[] = [];
        for (let round = 0; round < 2; round += 1) {
          const token = await newToken({ uses: 8 });
          for (let machine = 0; machine < 8; machine += 1) {
            names.push(await ask(token, joinRequest({ tokenId: token.id, key: await newCertificateKey(), identity: newIdentity() })));
          }
          await eventually(
            async () => assert.ok(((await client.get(joinTokens, { name: token.id })).status?.claims?.length ?? 0) > round),
            { timeoutMs: 30_000, intervalMs: 1, what: 'the controller to be at work' },
          );
          await controller.killHard();
          controller.restart();
        }
        const ends = new Set<number>();
        for (const name of names) {
          await eventually(async () => assert.ok((await get(name)).status?.certificate), {
            timeoutMs: 40_000,
            what: `${name} to be issued`,
          });
          const certificate = await untilIssued(name);
          ends.add(Math.round((certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / 60_000));
        }
        assert.deepEqual([...ends], [150], 'an hour back and ninety minutes on');
        const { items } = await client.list(providers);
        assert.equal(items.length, 16, 'each machine is one Provider');
        assert.equal(new Set(items.map(({ spec }) => spec.identityKey)).size, 16);
        for (const { status } of (await client.list(joinTokens)).items) {
          assert.equal(new Set(status?.claims?.map(({ requestUID }) => requestUID)).size, 8);
        }
      } finally {
        await controller.stop();
      }
    });
  });

  describe('of providers', () => {
    const renewal = (
      provider: Provider,
      key: CertificateKey,
      spec: Partial<CertificateSigningRequest['spec']> = {},
    ): CertificateSigningRequest => signingRequest(`provider-${provider.metadata.uid}-${randomName(10)}`, key, spec);

    async function send(credentials: Credentials, request: CertificateSigningRequest): Promise<RawAnswer> {
      const raw = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(request) };
      return rawRequest(`${api.url}${collection}`, credentials, raw);
    }

    it('are renewed, for as long as asked, until the Provider is revoked', async () => {
      await start();
      const joined = await admit(await newToken());
      const { provider } = joined;
      const key = await newCertificateKey('CN=somebody else');
      const request = renewal(provider, key, { expirationSeconds: 600 });
      const answer = await send(credentialsOf(joined), request);
      assert.equal(answer.code, 201, answer.body.toString());
      const certificate = await untilIssued(request.metadata.name!);
      assert.equal(certificate.subject, `O=system:providers\nCN=system:provider:${provider.metadata.uid}`);
      assert.ok(Math.abs(certificate.validToDate.getTime() - Date.now() - 600_000) < 10_000, certificate.validTo);
      await Promise.all(running.splice(0).map((controller) => controller.stop()));
      const late = renewal(provider, key);
      assert.equal((await send(credentialsOf({ key, certificate }), late)).code, 201);
      await client.patch(providers, { name: 'desk' }, { spec: { revoked: true } });
      await start();
      assert.match(await refusalOf(late.metadata.name!), /^ProviderRevoked: desk is revoked/u);
    });

    it('are refused when the Provider is gone, and to anybody else', async () => {
      const joined = await (async () => {
        await start();
        return admit(await newToken());
      })();
      await Promise.all(running.splice(0).map((controller) => controller.stop()));
      const orphan = renewal(joined.provider, await newCertificateKey());
      assert.equal((await send(credentialsOf(joined), orphan)).code, 201);
      await client.delete(providers, { name: 'desk' });
      const stranger = await client.create(certificateSigningRequests, signingRequest('by-an-admin', await newCertificateKey()));
      await start();
      assert.match(await refusalOf(orphan.metadata.name!), /^ProviderGone: /u);
      assert.match(await refusalOf(stranger.metadata.name!), /^UnknownRequester: /u);
    });
  });

  describe('of whoever means harm', () => {
    async function refused(change: (request: CertificateSigningRequest) => void, more: Partial<JoinRequestOptions> = {}): Promise<string> {
      const token = await newToken();
      const request = joinRequest({ tokenId: token.id, key: await newCertificateKey(), identity: newIdentity(), ...more });
      change(request);
      const refusal = await refusalOf(await ask(token, request));
      assert.equal((await client.get(joinTokens, { name: token.id })).status?.claims, undefined, 'no use is spent');
      return refusal;
    }

    it('are refused, and change nothing', async () => {
      await start();
      const victim = await admit(await newToken());
      const annotate = (key: string, value: string) => (request: CertificateSigningRequest) => {
        request.metadata.annotations![key] = value;
      };
      const unsigned = /^InvalidRequest: annotation potluck.dev\/identity-signature is no signature/u;
      assert.match(await refused(annotate(identityKeyAnnotation, victim.identity.publicText)), unsigned, 'another’s key, our signature');
      assert.match(await refused(annotate(identitySignatureAnnotation, randomBytes(64).toString('base64url'))), unsigned);
      assert.match(
        await refused((request) => {
          request.spec.request = requestPem(victim.key.der).toString('base64');
        }),
        unsigned,
        'another’s public key',
      );
      assert.match(await refused(annotate(identityKeyAnnotation, 'AAAA')), /must be an Ed25519 key of 32 bytes/u);
      assert.match(await refused(annotate(providerNameAnnotation, 'Not A Name')), /provider-name: a lowercase RFC 1123 label/u);
      assert.match(await refused(annotate(offerAnnotation, '{"cpu":"many"}')), /"cpu" is offered by no quantity/u);
      assert.match(await refused(annotate(offerAnnotation, '{"cpu":"1"}')), /cpu, memory and disk must be offered/u, 'as the schema says');
      assert.match(await refused(annotate(offerAnnotation, `{"a":"${'x'.repeat(3000)}"}`)), /more than 2048 characters/u);
      assert.match(await refused(annotate(locationAnnotation, '{"latitude":45}')), /latitude and longitude go together/u);
      assert.match(
        await refused(annotate(locationAnnotation, '{"latitude":1e999,"longitude":1}')),
        /latitude must be a number from -90 to 90/u,
      );
      assert.match(
        await refused((request) => {
          request.spec.usages = ['client auth', 'server auth'];
        }),
        /spec\.usages must be/u,
      );
      const after = await client.list(providers);
      assert.deepEqual(
        after.items.map(({ metadata }) => metadata.name),
        ['desk'],
      );
    });

    it('are refused by the API already where they are no requests at all', async () => {
      const send = async (der: Uint8Array, more: Partial<CertificateSigningRequest['spec']> = {}): Promise<string> => {
        const request = signingRequest('hostile', { keyPem: '', der: Buffer.from(der) }, more);
        const { code, stderr } = await api.kubectl(['create', '-f', '-'], JSON.stringify(request));
        assert.equal(code, 1);
        return stderr;
      };
      const { der } = await newCertificateKey();
      const forged = Buffer.from(der);
      forged[forged.length - 5]! ^= 1;
      assert.match(await send(forged), /spec\.request: Invalid value: .*signature/u);
      assert.match(await send(randomBytes(300)), /malformed certificate request/u);
      assert.match(await send(Buffer.alloc(5000)), /spec\.request: Too long: may not be more than 4096 bytes/u);
      assert.match(
        await send(Buffer.alloc(900_000), { signerName: 'example.com/any' }),
        /spec\.request: Too long: may not be more than 65536 bytes/u,
      );
      const masters = await newCertificateKey('O=system:masters,CN=admin');
      const client_ = { signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] };
      assert.match(
        await send(masters.der, client_),
        /use of kubernetes\.io\/kube-apiserver-client signer with system:masters group is not allowed/u,
      );
      const large = signingRequest('hostile', await newCertificateKey());
      large.metadata.annotations = { large: 'x'.repeat(9000) };
      assert.match((await api.kubectl(['create', '-f', '-'], JSON.stringify(large))).stderr, /metadata\.annotations: Too long/u);
    });

    it('get nothing of weak keys, authorities and names but our own subject', async () => {
      await start();
      const identity = newIdentity();
      const token = await newToken({ uses: 10 });
      const attempt = (options: RequestOptions): Promise<string> => {
        const { der } = makeRequest(options);
        return ask(token, joinRequest({ tokenId: token.id, key: { keyPem: '', der }, identity }));
      };
      assert.match(await refusalOf(await attempt({ kind: 'RSA-512' })), /^InvalidRequest: an RSA key must have at least 2048 bits/u);
      assert.match(await refusalOf(await attempt({ kind: 'P-192' })), /must be on P-256 or P-384, and this one is on prime192v1/u);
      const subject = [
        { type: 'O', value: 'system:masters' },
        { type: 'CN', value: 'admin' },
      ];
      const certificate = await untilIssued(await attempt({ kind: 'RSA-2048', isGreedy: true, subject }));
      assert.match(certificate.subject, /^O=system:providers\nCN=system:provider:[-0-9a-f]{36}$/u);
      assert.equal(certificate.subjectAltName, undefined);
      assert.equal(certificate.ca, false);
    });
  });

  describe('of users of the API', () => {
    const user = (name: string, key: CertificateKey, more: Partial<CertificateSigningRequest['spec']> = {}): CertificateSigningRequest =>
      signingRequest(name, key, {
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth', 'key encipherment'],
        ...more,
      });

    it('are signed as they were asked for, after approval by the kubectl of today and of Debian', async () => {
      await start();
      const setting = { kubectl: await findOldKubectl(), home: api.home, kubeconfigPath: api.kubeconfigPath };
      const kubectls = [(args: string[]) => api.kubectl(args), (args: string[]) => runKubectl(setting, args)];
      for (const [index, kubectl] of kubectls.entries()) {
        const [name, other] = [`jane-${index}`, `joe-${index}`];
        await client.create(certificateSigningRequests, user(name, await newCertificateKey('O=devs,CN=jane'), { expirationSeconds: 3600 }));
        await client.create(certificateSigningRequests, user(other, await newCertificateKey('CN=joe')));
        assert.match(
          (await kubectl(['describe', 'csr', name])).stdout,
          /Requesting User: +potluck-admin[^]*Status: +Pending[^]*Common Name: +jane[^]*Organization: +devs/u,
        );
        assert.match((await kubectl(['certificate', 'approve', name])).stdout, /jane-\d approved/u);
        const certificate = await untilIssued(name);
        assert.equal(certificate.subject, 'O=devs\nCN=jane');
        assert.ok(Math.abs(certificate.validToDate.getTime() - Date.now() - 3_600_000) < 10_000);
        assert.equal((await kubectl(['certificate', 'approve', name])).code, 0, 'once more is no error');
        assert.equal((await kubectl(['certificate', 'approve', name, '--force'])).code, 0);
        assert.match((await kubectl(['certificate', 'deny', name])).stderr, /already Approved|mutually exclusive/u);
        assert.match((await kubectl(['certificate', 'deny', other])).stdout, /denied/u);
        const { stdout } = await kubectl(['get', 'csr']);
        assert.match(stdout, /^NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION\n/u);
        assert.match(stdout, /jane-\d +\d+s +kubernetes\.io\/kube-apiserver-client +potluck-admin +60m +Approved,Issued\n/u);
        assert.match(stdout, /joe-\d .* <none> +Denied\n/u);
      }
    });

    it('fail where the usages are not a client’s, and other signers’ stay for their signers', async () => {
      await start();
      await client.create(
        certificateSigningRequests,
        user('greedy', await newCertificateKey(), { usages: ['client auth', 'server auth'] }),
      );
      await client.create(certificateSigningRequests, user('foreign', await newCertificateKey(), { signerName: 'example.com/any' }));
      for (const name of ['greedy', 'foreign']) assert.equal((await api.kubectl(['certificate', 'approve', name])).code, 0);
      assert.equal(await refusalOf('greedy', 'Failed'), 'SignerValidationFailure: invalid usage for client certificate: server auth');
      assert.match((await api.kubectl(['get', 'csr', 'greedy'])).stdout, /Approved,Failed/u);
      assert.match((await api.kubectl(['get', 'csr', 'foreign'])).stdout, /Approved\n/u);
    });

    it('are approved and signed only by who may', async () => {
      await client.create(certificateSigningRequests, user('guarded', await newCertificateKey()));
      const role = 'approver';
      await api.kubectl([
        'create',
        'clusterrole',
        role,
        '--verb=get,update',
        '--resource=certificatesigningrequests,certificatesigningrequests/approval,certificatesigningrequests/status',
      ]);
      await api.kubectl(['create', 'clusterrolebinding', role, `--clusterrole=${role}`, '--user=ann']);
      const asAnn = ['--as', 'ann'];
      await eventually(async () => assert.equal((await api.kubectl(['get', 'csr', 'guarded', ...asAnn])).code, 0), {
        timeoutMs: 3_000,
        what: 'the role',
      });
      const refused = await api.kubectl(['certificate', 'approve', 'guarded', ...asAnn]);
      assert.match(
        refused.stderr,
        /certificatesigningrequests\.certificates\.k8s\.io "guarded" is forbidden: user not permitted to approve requests with signerName "kubernetes\.io\/kube-apiserver-client"/u,
      );
      const stored = await get('guarded');
      const fail = { ...stored, status: { conditions: [{ type: 'Failed', status: 'True', reason: 'Because' }] } };
      const status = await api.kubectl(['replace', '--raw', `${collection}/guarded/status`, '-f', '-', ...asAnn], JSON.stringify(fail));
      assert.match(status.stderr, /user not permitted to sign requests with signerName/u);
      const rule = {
        apiGroups: ['certificates.k8s.io'],
        resources: ['signers'],
        resourceNames: ['kubernetes.io/*'],
        verbs: ['approve', 'sign'],
      };
      const patch = [{ op: 'add', path: '/rules/-', value: rule }];
      assert.equal((await api.kubectl(['patch', 'clusterrole', role, '--type=json', '-p', JSON.stringify(patch)])).code, 0);
      await eventually(async () => assert.equal((await api.kubectl(['certificate', 'approve', 'guarded', ...asAnn])).code, 0), {
        timeoutMs: 5_000,
        what: 'the right to approve',
      });
      for (const kind of ['clusterrolebinding', 'clusterrole']) await api.kubectl(['delete', kind, role]);
    });

    it('keep what was said: who asked, what was asked, approval and certificate', async () => {
      const lie = user('kept', await newCertificateKey(), { username: 'root', groups: ['system:masters'], uid: '0' });
      const made = await client.create(certificateSigningRequests, {
        ...lie,
        status: { conditions: [{ type: 'Approved', status: 'True' }] },
      });
      assert.equal(made.spec.username, 'potluck-admin');
      assert.equal(made.spec.uid, undefined);
      assert.deepEqual(made.status, {});
      const changed = await client.replace(certificateSigningRequests, {
        ...made,
        spec: { ...made.spec, signerName: 'example.com/other' },
      });
      assert.equal(changed.spec.signerName, made.spec.signerName);
      const put = (subresource: string, status: object): Promise<string> =>
        api
          .kubectl(
            ['replace', '--raw', `${collection}/kept/${subresource}`, '-f', '-'],
            JSON.stringify({ ...made, metadata: { name: 'kept' }, status }),
          )
          .then(({ code, stderr, stdout }) => (code === 0 ? 'ok' : stderr + stdout));
      const approved = { type: 'Approved', status: 'True', reason: 'R' };
      assert.match(await put('status', { conditions: [approved] }), /updates may not add a condition of type "Approved"/u);
      assert.match(
        await put('approval', { conditions: [{ ...approved, status: 'False' }] }),
        /status\.conditions\[0\]\.status: Unsupported value: "False"/u,
      );
      assert.match(await put('approval', { conditions: [approved, { ...approved, type: 'Denied' }] }), /mutually exclusive/u);
      assert.equal(await put('approval', { conditions: [approved] }), 'ok');
      assert.match(await put('approval', { conditions: [] }), /updates may not remove a condition of type "Approved"/u);
      assert.match(
        await put('status', { conditions: [approved], certificate: Buffer.from('no').toString('base64') }),
        /must contain at least one CERTIFICATE PEM block/u,
      );
      const certificate = admin.ca.toString('base64');
      assert.equal(await put('status', { conditions: [{ ...approved, message: 'other' }], certificate }), 'ok');
      assert.equal(conditionOf(await get('kept'), 'Approved')?.message, undefined, 'the approval is not the signer’s to change');
      assert.match(
        await put('status', { conditions: [approved], certificate: admin.cert.toString('base64') }),
        /may not modify existing certificate content/u,
      );
      assert.equal((await get('kept')).status?.certificate, certificate);
    });
  });

  it('are removed when they have stood long enough, and so are tokens that ran out', async () => {
    await start({ times: { settledMs: 1_500, unsettledMs: 3_000, expiredTokenMs: 1_000 } });
    const expired = await newToken({ expirationTimestamp: new Date(Date.now() + 500).toISOString() });
    const kept = await newToken();
    const { provider } = await admit(kept);
    await client.create(
      certificateSigningRequests,
      signingRequest('nobodys', await newCertificateKey(), { signerName: 'example.com/any' }),
    );
    await eventually(
      async () => {
        assert.deepEqual(
          (await client.list(certificateSigningRequests)).items.map(({ metadata }) => metadata.name),
          [],
        );
        assert.deepEqual(
          (await client.list(joinTokens)).items.map(({ metadata }) => metadata.name),
          [kept.id],
        );
      },
      { timeoutMs: 10_000, what: 'the requests and the token to go' },
    );
    assert.notEqual(expired.id, kept.id);
    assert.equal((await client.get(providers, { name: 'desk' })).metadata.uid, provider.metadata.uid, 'who joined stays');
  });
});

function providerNamed(name: string, owner: string): Provider {
  const offer = { cpu: '1', memory: '1Gi', disk: '1Gi' };
  return { apiVersion: apiVersionOf(providers), kind: providers.kind, metadata: { name }, spec: { owner, offer } };
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
