import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir, type NetworkInterfaceInfo } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { UserInfo } from '../registry/resource.ts';
import { authenticate } from './authenticate.ts';
import type { Pki } from './pki.ts';
import { machineAddresses, openPki } from './pki.ts';

const nowMs = Date.now();
const dayMs = 86_400_000;

describe('the pool’s certificates', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'potluck-pki-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const open = (serverNames: string[] = [], atMs = nowMs): Promise<Pki> => openPki({ directory, serverNames, now: () => atMs });

  it('are made once and then kept, with keys that only their owner reads', async () => {
    const first = await open(['10.1.2.3']);
    const second = await open(['10.1.2.3']);
    assert.equal(second.caPem, first.caPem);
    assert.deepEqual(second.server, first.server);
    for (const key of ['ca.key', 'server.key']) assert.equal((await stat(join(directory, key))).mode & 0o777, 0o600);
    const names = new X509Certificate(first.server.certPem).subjectAltName ?? '';
    for (const name of ['DNS:localhost', 'IP Address:127.0.0.1', 'IP Address:10.1.2.3', 'DNS:kubernetes.default']) {
      assert.ok(names.includes(name), `${names} lacks ${name}`);
    }
  });

  it('name the server anew when its names change or the end is near, under the same authority', async () => {
    const first = await open();
    const renamed = await open(['pool.example']);
    assert.notEqual(renamed.server.certPem, first.server.certPem);
    const later = await open(['pool.example'], nowMs + 330 * dayMs);
    assert.notEqual(later.server.certPem, renamed.server.certPem);
    assert.equal(later.caPem, first.caPem);
  });

  it('survive a crash between the authority’s key and its certificate', async () => {
    const first = await open();
    const key = await readFile(join(directory, 'ca.key'), 'utf8');
    await rm(join(directory, 'ca.crt'));
    const second = await open();
    assert.equal(await readFile(join(directory, 'ca.key'), 'utf8'), key);
    assert.notEqual(second.caPem, first.caPem);
    assert.ok(new X509Certificate(second.server.certPem).checkIssued(new X509Certificate(second.caPem)));
  });

  it('that are damaged stop the start with a remedy', async () => {
    await open();
    await writeFile(join(directory, 'ca.crt'), 'nonsense');
    await assert.rejects(open(), { code: 'PLK014' });
    await rm(join(directory, 'ca.key'));
    await assert.rejects(open(), { code: 'PLK014' });
  });

  it('identify a client by common name and organizations, and nobody who shows none, a foreign or a server’s one', async () => {
    const pki = await open();
    const foreign = await openPki({ directory: join(directory, 'other'), serverNames: [], now: () => nowMs });
    const lifetimeMs = dayMs;
    const client = await pki.issueClientCertificate({ commonName: 'ann,O=x', organizations: ['a', 'b'], lifetimeMs });
    const stranger = await foreign.issueClientCertificate({ commonName: 'ann', organizations: ['system:masters'], lifetimeMs });
    assert.deepEqual(await whoIs(pki, client), { name: 'ann,O=x', groups: ['a', 'b', 'system:authenticated'] });
    assert.deepEqual(await whoIs(pki, undefined), { name: 'system:anonymous', groups: ['system:unauthenticated'] });
    assert.equal(await whoIs(pki, stranger), undefined);
    assert.equal(await whoIs(pki, pki.server), undefined);
    assert.equal(await whoIs(pki, client, nowMs + 2 * dayMs), undefined);
  });
});

/** Connects to a server with the client's certificate and answers whom that server sees. */
async function whoIs(pki: Pki, client: { keyPem: string; certPem: string } | undefined, atMs = nowMs): Promise<UserInfo | undefined> {
  let seen: UserInfo | undefined;
  const tls = { key: pki.server.keyPem, cert: pki.server.certPem, ca: pki.caPem, requestCert: true, rejectUnauthorized: false };
  const server = createServer(tls, (incoming, response) => {
    seen = authenticate(incoming.socket as TLSSocket, atMs);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const identity = client === undefined ? {} : { key: client.keyPem, cert: client.certPem };
  await new Promise<void>((resolve, reject) => {
    request({ port, host: '127.0.0.1', ca: pki.caPem, agent: false, ...identity }, (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end();
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return seen;
}

describe('machineAddresses()', () => {
  it('are those that other machines may reach, of real links only', () => {
    const info = (address: string, internal = false): NetworkInterfaceInfo => ({
      address,
      internal,
      family: address.includes(':') ? 'IPv6' : 'IPv4',
      netmask: '',
      mac: '',
      cidr: null,
      scopeid: 0,
    });
    const found = machineAddresses({
      lo: [info('127.0.0.1', true), info('::1', true)],
      wlan0: [info('192.168.1.7'), info('fe80::1'), info('2001:db8::7')],
      eth0: [info('10.0.0.5'), info('192.168.1.7')],
      docker0: [info('172.17.0.1')],
      plk0: [info('100.64.0.1')],
      'br-1a2b': [info('172.18.0.1')],
      veth12: [info('169.254.1.1')],
      wg0: undefined,
    });
    assert.deepEqual(found, ['10.0.0.5', '192.168.1.7', '2001:db8::7']);
  });
});
