/** What only the etcd store has: several endpoints, and TLS with client certificates. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, newPrivateKey, signClientCertificate, signServerCertificate } from '../../apiserver/access/certificates.ts';
import { createEtcdStore } from '../../apiserver/store/etcd-store.ts';
import { StoreUnavailableError } from '../../apiserver/store/store.ts';
import { startEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { follow } from './watch-log.ts';

const value = Buffer.from('v');

describe('the etcd store', function () {
  this.timeout(30_000);

  it('with several endpoints goes on through one that is left, calls and watches alike', async () => {
    const etcd = await startEtcd({ unsafeNoFsync: true });
    const proxies = await Promise.all([startTcpProxy(etcd.endpoint), startTcpProxy(etcd.endpoint)]);
    const endpoints = ['http://127.0.0.1:1', ...proxies.map(({ endpoint }) => endpoint)];
    const store = createEtcdStore({ endpoints, requestTimeoutMs: 1_000 });
    try {
      const watch = follow(store, '/', 0);
      await watch.reach((await store.create('/0', value)).revision);
      for (const [index, proxy] of proxies.entries()) {
        proxy.cut();
        const last = await eventually(async () => (await store.create(`/${index + 1}`, value)).revision, {
          timeoutMs: 5_000,
          what: 'a write',
        });
        await watch.reach(last);
        assert.equal((await store.list('/')).entries.length, index + 2);
        proxy.restore();
      }
      await watch.close();
      // Connected, but without an answer: the next call goes elsewhere.
      for (const proxy of proxies) {
        proxy.swallowAnswers();
        await eventually(() => store.get('/0'), { timeoutMs: 1_500, what: 'an answer by the other endpoint' });
        proxy.restore();
      }
    } finally {
      await store.close();
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await etcd.stop();
    }
  });

  it('shows its certificate to an etcd that asks for one, and trusts only the authority it was given', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'potluck-etcd-tls-'));
    const [ours, strange] = await Promise.all([makeCertificates(), makeCertificates()]);
    const tls = { caFile: join(directory, 'ca.crt'), certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
    await Promise.all([
      writeFile(tls.caFile, ours.ca),
      writeFile(tls.certFile, ours.server.certPem),
      writeFile(tls.keyFile, ours.server.keyPem),
    ]);
    const etcd = await startEtcd({ unsafeNoFsync: true, tls });
    try {
      const { ca, cert, key } = ours;
      const attempt = async (options: { ca: Buffer; cert?: Buffer; key?: Buffer }): Promise<boolean> => {
        const store = createEtcdStore({ endpoints: [etcd.endpoint], tls: options, requestTimeoutMs: 1_000 });
        try {
          return (await store.create(`/${randomUUID()}`, value)).succeeded;
        } finally {
          await store.close();
        }
      };
      assert.equal(await attempt({ ca, cert, key }), true);
      await assert.rejects(attempt({ ca }), StoreUnavailableError);
      await assert.rejects(attempt({ ca: strange.ca, cert, key }), StoreUnavailableError);
      await assert.rejects(attempt({ ca, cert: strange.cert, key: strange.key }), StoreUnavailableError);
    } finally {
      await etcd.stop();
      await rm(directory, { recursive: true });
    }
  });
});

async function makeCertificates() {
  const lifetime = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const keyPem = await newPrivateKey();
  const authority = { keyPem, certPem: await createAuthority(keyPem, 'test authority', lifetime) };
  const server = await signServerCertificate(authority, { commonName: 'etcd', names: ['127.0.0.1'] }, lifetime);
  const client = await signClientCertificate(authority, { commonName: 'potluck', organizations: [] }, lifetime);
  return { ca: Buffer.from(authority.certPem), cert: Buffer.from(client.certPem), key: Buffer.from(client.keyPem), server };
}
