import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createAuthority, newPrivateKey, signPublicKey } from '../../apiserver/access/certificates.ts';
import type { KeyAndCertificate } from '../../apiserver/access/certificates.ts';
import { readSigningRequest } from '../../apiserver/access/signing-request.ts';
import { providersGroup, providerUser } from '../../api/names.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { sendJson, sendStatus, startScriptedServer } from '../../client/scripted-server.ts';
import type { ScriptedServer } from '../../client/scripted-server.ts';
import { createFakeClock } from '../../runtime/fake-clock.ts';
import type { FakeClock } from '../../runtime/fake-clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { agentFolder, makeAgentFolder } from './agent-folder.ts';
import type { AgentFolder } from './agent-folder.ts';
import { readAgentKubeconfig, writeAgentKubeconfig } from './agent-kubeconfig.ts';
import { CertificateKeeper } from './certificate-keeper.ts';
import { createCertificateRequest, requestPem } from './certificate-request.ts';
import { openIdentityKey } from './identity-key.ts';

const uid = '11111111-2222-3333-4444-555555555555';
const hourMs = 3_600_000;

describe('the keeper of the certificate', () => {
  let home: string;
  let folder: AgentFolder;
  let pool: ScriptedServer;
  let authority: KeyAndCertificate;
  let clock: FakeClock;
  /** How far the machine's clock ran on while nothing else did: it was asleep. */
  let asleepMs: number;
  let logged: string[];
  /** `Potluck-Identity` or nothing, for each request to sign. */
  let asked: string[];
  let answer: 'sign' | 'fail' | 'refuse';
  let client: KubeClient;
  let keeper: CertificateKeeper;

  const nowMs = (): number => clock.nowMs() + asleepMs;
  const certPem = async (): Promise<string> => (await readAgentKubeconfig(folder.kubeconfig)).certPem;

  async function sign(pem: string): Promise<string> {
    const { request } = readSigningRequest(Buffer.from(pem));
    assert.ok(request !== undefined);
    const subject = [
      { type: 'CN', value: providerUser(uid) },
      { type: 'O', value: providersGroup },
    ];
    const wish = { publicKey: request.publicKey, subject, keyEncipherment: false };
    return signPublicKey(authority, wish, { nowMs: nowMs(), lifetimeMs: 24 * hourMs });
  }

  async function onRequest(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const { authorization = '' } = request.headers;
    if (authorization.startsWith('Potluck-Identity') && !authorization.includes('signature=')) {
      response.setHeader('www-authenticate', `Potluck-Identity challenge="${pool.requests.length}.text"`);
      sendStatus(response, 401, 'Unauthorized', 'prove it');
      return;
    }
    asked.push(authorization.split(' ')[0] ?? '');
    if (answer === 'fail') sendStatus(response, 500, 'InternalError', 'not now');
    else if (answer === 'refuse') sendStatus(response, 401, 'Unauthorized', 'who are you');
    else {
      const csr = JSON.parse(body) as CertificateSigningRequest;
      const certificate = Buffer.from(await sign(Buffer.from(csr.spec.request, 'base64').toString())).toString('base64');
      sendJson(response, 201, { ...csr, status: { certificate } });
    }
  }

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'keeper-'));
    folder = agentFolder(home);
    [clock, asleepMs, logged, asked, answer] = [createFakeClock(Date.now()), 0, [], [], 'sign'];
    const keyPem = await newPrivateKey();
    authority = { keyPem, certPem: await createAuthority(keyPem, 'ca', { nowMs: nowMs(), lifetimeMs: 1000 * hourMs }) };
    pool = await startScriptedServer((request, response, body) => void onRequest(request, response, body));
    await makeAgentFolder(folder);
    await openIdentityKey(folder.identityKey);
    const first = await createCertificateRequest('first');
    const server = pool.kubeconfig.clusters[0]?.server ?? '';
    const pem = await sign(requestPem(first.der));
    await writeAgentKubeconfig(folder.kubeconfig, { server, caPem: authority.certPem, certPem: pem, keyPem: first.keyPem });
    client = createClient({ kubeconfig: folder.kubeconfig, userAgent: 'test' });
    const note = (message: string): void => void logged.push(message);
    keeper = new CertificateKeeper({
      folder,
      client,
      logger: { ...silentLogger, info: note, warn: note, error: note },
      clock: { nowMs, monotonicMs: () => clock.monotonicMs(), setTimer: (callback, delayMs) => clock.setTimer(callback, delayMs) },
      random: () => 0.5,
    });
  });
  afterEach(async () => {
    await keeper.stop();
    client.close();
    await pool.close();
    await rm(home, { recursive: true });
  });

  /** Turns the clock from timer to timer until it is so; at most `limitMs` on it. */
  async function until(isSo: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
    const deadlineMs = clock.nowMs() + limitMs;
    for (let turns = 0; !(await isSo()); turns += 1) {
      assert.ok(clock.nowMs() <= deadlineMs && turns < 20_000, `not in ${limitMs} ms: ${logged.join('; ')}`);
      // What the keeper does between two timers happens in real time.
      if (clock.pendingTimers > 0) clock.advanceToNext();
      await delay(1);
    }
  }

  it('renews with the certificate that it has, in the middle of its life', async () => {
    const before = await certPem();
    const startMs = clock.nowMs();
    keeper.start();
    await until(async () => (await certPem()) !== before, 24 * hourMs);
    const part = (clock.nowMs() - startMs) / (24 * hourMs);
    assert.ok(part > 0.6 && part < 0.7, String(part));
    assert.deepEqual(asked, ['']);
  }).timeout(30_000);

  it('finds within a minute that it slept past the end, and recovers by the identity key', async () => {
    const before = await certPem();
    keeper.start();
    await until(() => clock.pendingTimers > 0, 0);
    asleepMs = 40 * hourMs;
    await until(async () => (await certPem()) !== before, 60_000);
    assert.deepEqual(asked, ['Potluck-Identity']);
    assert.ok(logged.includes('the certificate was recovered by the identity key'));
  });

  it('recovers at once when the API does not believe it, and not again for what was on its way', async () => {
    const before = await certPem();
    keeper.start();
    await until(() => clock.pendingTimers > 0, 0);
    keeper.noteUnauthorized();
    await until(async () => (await certPem()) !== before, 1_000);
    const after = await certPem();
    keeper.noteUnauthorized();
    await until(() => clock.nowMs() > 0, 0);
    await delay(50);
    assert.equal(await certPem(), after);
    assert.equal(asked.length, 1);
  });

  it('tries on when the pool fails, ever more slowly', async () => {
    answer = 'fail';
    asleepMs = 40 * hourMs;
    const before = await certPem();
    const startMs = clock.nowMs();
    keeper.start();
    await until(() => asked.length === 6, hourMs);
    assert.ok(clock.nowMs() - startMs > 30_000);
    answer = 'sign';
    await until(async () => (await certPem()) !== before, 400_000);
  });

  it('says once that it is refused, and keeps asking at a slow pace', async () => {
    answer = 'refuse';
    asleepMs = 40 * hourMs;
    const startMs = clock.nowMs();
    keeper.start();
    await until(() => asked.length === 4, 2 * hourMs);
    assert.equal(logged.filter((text) => text.startsWith('the pool does not believe this machine')).length, 1);
    assert.ok(clock.nowMs() - startMs > 3 * 60_000);
    answer = 'sign';
    const before = await certPem();
    await until(async () => (await certPem()) !== before, hourMs);
  });
});
