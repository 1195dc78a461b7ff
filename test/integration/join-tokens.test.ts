/** What join tokens promise, with real servers: one winner of each race, and refusals that tell nothing. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import type { JoinTokenText } from '../../api/join-token-format.ts';
import { bearerOf } from '../../api/join-token-format.ts';
import { joinTokens, providers } from '../../api/resource-type.ts';
import { createToken } from '../../cli/token/create.ts';
import { readAuthorityHash } from '../../cli/token/pool-address.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { createClient } from '../../client/kube-client.ts';
import { loadKubeconfig } from '../../client/kubeconfig.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
import { joinPool } from '../../node-agent/identity/join-pool.ts';
import type { TestEtcd } from '../support/etcd.ts';
import { startEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import type { RawAnswer } from '../support/https-request.ts';
import { rawRequest, readCredentials } from '../support/https-request.ts';
import type { TestProcess } from '../support/processes.ts';
import { startPotluck } from '../support/processes.ts';

const races = 50;
const samples = 60;
const signal = new AbortController().signal;

describe('join tokens', function () {
  this.timeout(240_000);
  let home: string;
  let etcd: TestEtcd;
  let server: TestProcess;
  let client: KubeClient;
  let url: string;
  let caHash: string;
  let machines = 0;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'join-tokens-'));
    etcd = await startEtcd({ unsafeNoFsync: true });
    const listen = `127.0.0.1:${await freePort()}`;
    url = `https://${listen}`;
    const args = ['server', '--listen', listen, '--etcd-servers', etcd.endpoint, '--home', home];
    server = await startPotluck('server', args, join(home, 'logs', 'server.log'));
    const kubeconfig = join(home, 'kubeconfig');
    client = await eventually(
      async () => {
        const made = createClient({ kubeconfig, userAgent: 'potluck-test' });
        await made.list(joinTokens).catch((error: unknown) => {
          made.close();
          throw error;
        });
        return made;
      },
      { timeoutMs: 60_000, what: 'the server to answer', intervalMs: 100 },
    );
    caHash = await readAuthorityHash(await loadKubeconfig(kubeconfig), kubeconfig);
  });
  after(async () => {
    client.close();
    await server.stop();
    await etcd.stop();
    await rm(home, { recursive: true, force: true });
  });

  async function newToken(ttlMs = 600_000): Promise<JoinTokenText> {
    const { id, secret } = await createToken(client, { owner: 'alan', ttlMs, uses: 1, approval: 'Automatic' }, signal);
    return { id, secret, caHash };
  }

  /** A machine of its own each time. */
  function joinBy(token: JoinTokenText): Promise<{ providerName: string; providerUid: string }> {
    machines += 1;
    return joinPool({
      server: new URL(url),
      token,
      folder: agentFolder(join(home, 'machines', String(machines))),
      proposal: { name: 'racer', offer: { cpu: '1', memory: '1Gi', disk: '1Gi' } },
      answerTimeoutMs: 20_000,
      approvalTimeoutMs: 60_000,
      signal,
      step: (_label, run) => run(() => undefined),
    });
  }

  it('let exactly one of two machines in, each time of fifty, and the other hears what anybody hears', async () => {
    const uids = new Set<string>();
    for (let race = 0; race < races; race += 1) {
      const token = await newToken();
      const outcomes = await Promise.allSettled([joinBy(token), joinBy(token)]);
      const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.providerUid] : []));
      const losers = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
      assert.equal(winners.length, 1, `race ${race}: ${losers.map(String).join(' | ')}`);
      const [loser] = losers;
      assert.ok(loser instanceof UserError && loser.code === 'PLK018', String(loser));
      uids.add(winners[0] ?? '');
      const { status, spec } = await client.get(joinTokens, { name: token.id });
      assert.equal(status?.claims?.length, spec.uses);
    }
    const { items } = await client.list(providers);
    assert.deepEqual(new Set(items.map(({ metadata }) => metadata.uid)), uids, 'one Provider for each winner, and no other');
    // All proposed the same name.
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name).sort(),
      ['racer', ...Array.from({ length: races - 1 }, (_, index) => `racer-${index + 2}`)].sort(),
    );
  });

  it('are refused with one text, byte by byte and in the same time, whatever is wrong with them', async () => {
    const used = await newToken();
    await joinBy(used);
    const revoked = await newToken();
    await client.delete(joinTokens, { name: revoked.id });
    const good = await newToken();
    const expired = await newToken(1_000);
    const { ca } = await readCredentials(join(home, 'kubeconfig'));
    const ask = (token: JoinTokenText): Promise<RawAnswer> => {
      const headers = { authorization: `Bearer ${bearerOf(token)}` };
      return rawRequest(`${url}/apis/certificates.k8s.io/v1/certificatesigningrequests`, { ca }, { headers });
    };
    await eventually(async () => assert.equal((await ask(expired)).code, 401), { timeoutMs: 10_000, what: 'the token to expire' });
    const wrong: Record<string, JoinTokenText> = {
      'another secret': { ...good, secret: 'a'.repeat(26) },
      'no such id': { ...good, id: 'zzzzzzzz' },
      expired,
      used,
      revoked,
    };
    const texts = new Set<string>();
    const heard = new Set<string>();
    const times = new Map<string, number[]>();
    for (let sample = 0; sample < samples; sample += 1) {
      // In turn, so that whatever else the machine does meets all of them.
      for (const [name, token] of Object.entries(wrong)) {
        const startMs = performance.now();
        const answer = await ask(token);
        times.set(name, [...(times.get(name) ?? []), performance.now() - startMs]);
        assert.equal(answer.code, 401, name);
        texts.add(answer.body.toString());
      }
    }
    for (const token of Object.values(wrong)) await assert.rejects(joinBy(token), (error) => heard.add(String(error)).size > 0);
    assert.equal(texts.size, 1, [...texts].join('\n'));
    assert.equal(heard.size, 1, [...heard].join('\n'));
    const medians = [...times].map(([name, taken]) => ({ name, ms: taken.sort((a, b) => a - b)[samples / 2] ?? 0 }));
    const spread = Math.max(...medians.map(({ ms }) => ms)) - Math.min(...medians.map(({ ms }) => ms));
    assert.ok(spread < 2, JSON.stringify(medians));
    assert.equal((await ask(good)).code, 403, 'a good one gets further');
  });
});
