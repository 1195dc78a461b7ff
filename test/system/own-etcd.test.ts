import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPki } from '../../apiserver/access/pki.ts';
import { debianRootfs } from '../support/debian-rootfs.ts';
import { startEtcd } from '../support/etcd.ts';
import type { TestEtcd } from '../support/etcd.ts';
import { runKubectl } from '../support/kubectl.ts';
import { Up, runPotluck } from '../support/up.ts';

describe('potluck up with an etcd of the user’s own, by TLS', function () {
  this.timeout(240_000);
  let directory: string;
  let home: string;
  let etcd: TestEtcd;
  let flags: string[];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'own-etcd-'));
    home = join(directory, 'home');
    const pki = await openPki({ directory: join(directory, 'pki'), serverNames: ['localhost', '127.0.0.1'], now: Date.now });
    const client = await pki.issueClientCertificate({ commonName: 'potluck', organizations: [], lifetimeMs: 86_400_000 });
    const [caFile, certFile, keyFile] = ['ca.crt', 'server.crt', 'server.key'].map((name) => join(directory, 'pki', name));
    etcd = await startEtcd({ unsafeNoFsync: true, tls: { caFile: caFile!, certFile: certFile!, keyFile: keyFile! } });
    const [clientCert, clientKey] = [join(directory, 'client.crt'), join(directory, 'client.key')];
    await Promise.all([writeFile(clientCert, client.certPem), writeFile(clientKey, client.keyPem, { mode: 0o600 })]);
    const access = ['--etcd-servers', etcd.endpoint, '--etcd-cafile', caFile!, '--etcd-certfile', clientCert, '--etcd-keyfile', clientKey];
    flags = ['--home', home, '--listen', '127.0.0.1:0', ...access, '--rootfs', await debianRootfs()];
  });
  after(async () => {
    const { code, output } = await runPotluck('down', '--purge', '--home', home);
    await etcd.stop();
    await rm(directory, { recursive: true, force: true });
    assert.equal(code, 0, output);
  });

  it('keeps the pool there, starts no other, and leaves it running', async () => {
    const up = new Up(flags);
    try {
      await up.untilReady(120_000);
      const { stdout } = await runKubectl(join(home, 'kubeconfig'), ['get', 'instance', 'hello', '-o', 'jsonpath={.status.phase}']);
      assert.equal(stdout, 'Running');
      const status = JSON.parse((await runPotluck('status', '-o', 'json', '--home', home)).output) as { processes: object };
      assert.deepEqual(Object.keys(status.processes).sort(), ['agent', 'gateway', 'jump-host', 'server', 'up']);
    } finally {
      assert.equal(await up.end('SIGTERM'), 0, up.output);
    }
    process.kill(etcd.pid, 0);
  });
});
