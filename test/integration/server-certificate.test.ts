/** What the API server shows of its certificate, and how it follows the machine's addresses, over real TLS. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir, type NetworkInterfaceInfo } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { startApiServer, type ApiServer } from '../../apiserver/api-server.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { openRequest, rawRequest, readCredentials } from '../support/https-request.ts';

/** Said to be of another link; it leads here all the same. */
const newAddress = '127.0.0.77';

describe('the API server’s certificate', function () {
  this.timeout(60_000);
  let home: string;
  let etcd: TestEtcd;
  let server: ApiServer | undefined;
  const more: NetworkInterfaceInfo[] = [];

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-certificate-'));
    etcd = await startEtcd({ unsafeNoFsync: true });
    server = await startApiServer({
      etcd: { endpoints: [etcd.endpoint] },
      listen: { host: '0.0.0.0', port: 0 },
      home,
      logger: silentLogger,
      certificateCheckMs: 50,
      interfaces: () => ({ ...networkInterfaces(), wlan9: more }),
    });
  });
  after(async () => {
    await server?.stop();
    await etcd.stop();
    await rm(home, { recursive: true, force: true });
  });

  /** As somebody sees it who trusts nothing yet. */
  async function shown(): Promise<PeerCertificate[]> {
    const socket = connect({ port: server?.port ?? 0, host: '127.0.0.1', rejectUnauthorized: false });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    const leaf = socket.getPeerCertificate(true);
    socket.destroy();
    return [leaf, leaf.issuerCertificate];
  }

  it('comes with the authority’s, so that a machine that joins finds it by its hash', async () => {
    const { ca } = await readCredentials(join(home, 'kubeconfig'));
    const [leaf, authority] = await shown();
    assert.ok(leaf && authority);
    assert.deepEqual(authority.raw, new X509Certificate(ca).raw);
    assert.ok(new X509Certificate(leaf.raw).verify(new X509Certificate(authority.raw).publicKey));
  });

  it('has the addresses that the machine comes to have, and no request is lost on the way', async () => {
    const admin = await readCredentials(join(home, 'kubeconfig'));
    const url = `https://127.0.0.1:${server?.port}`;
    const watch = await openRequest(`${url}/api/v1/namespaces?watch=1`, admin);
    watch.on('error', () => undefined).resume();
    const names = async (): Promise<string> => (await shown())[0]?.subjectaltname ?? '';
    assert.doesNotMatch(await names(), new RegExp(newAddress, 'u'));
    more.push({ address: newAddress, family: 'IPv4', internal: false, netmask: '255.0.0.0', mac: '', cidr: null });
    await eventually(
      async () => {
        assert.equal((await rawRequest(`${url}/version`, admin)).code, 200);
        assert.match(await names(), new RegExp(`IP Address:${newAddress}(,|$)`, 'u'));
      },
      { timeoutMs: 5_000, intervalMs: 10, what: 'the new address' },
    );
    assert.equal(watch.destroyed, false);
    const answer = await rawRequest(`https://${newAddress}:${server?.port}/version`, admin);
    assert.equal(answer.code, 200, 'by the new address, verified');
    watch.destroy();
  });

  it('is of no use with an access configuration that is wrong: the server says where, and does not start', async () => {
    const file = join(home, 'access.yaml');
    await writeFile(file, 'apiVersion: potluck.dev/v1alpha1\nkind: AccessConfiguration\nsubjects: [{ name: x }]\n');
    const start = startApiServer({
      etcd: { endpoints: [etcd.endpoint] },
      listen: { host: '127.0.0.1', port: 0 },
      home,
      accessConfig: file,
      logger: silentLogger,
    });
    await assert.rejects(start, { code: 'PLK010', message: `${file}: subjects[0] must have required property 'userPrefix'` });
  });
});
