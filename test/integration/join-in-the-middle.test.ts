/** Someone between a machine and the pool that it joins never gets to see the secret of its token. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { createAuthority, newPrivateKey, signServerCertificate, type KeyAndCertificate } from '../../apiserver/access/certificates.ts';
import { UserError } from '../../api/errors.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
import { authorityHash } from '../../node-agent/identity/find-authority.ts';
import { joinPool } from '../../node-agent/identity/join-pool.ts';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';

const secret = 'abcdefghijklmnopqrstuvwxyz';

/** Passes the first connections on as they are, and answers the others itself. */
class Middle {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connections = 0;
  /** All that was sent to us: above TLS where we could read it, and below. */
  received = Buffer.alloc(0);

  constructor(identity: { keyPem: string; chainPem: string }, options: { passOn: number; poolPort: number }) {
    const secureContext = createSecureContext({ key: identity.keyPem, cert: identity.chainPem });
    this.#server = createServer((socket) => {
      this.#keep(socket);
      this.connections += 1;
      if (this.connections <= options.passOn) {
        const pool = this.#keep(connect(options.poolPort, '127.0.0.1'));
        socket.on('data', (bytes: Buffer) => this.#note(bytes));
        socket.pipe(pool).pipe(socket);
        return;
      }
      const above = new TLSSocket(socket, { isServer: true, secureContext });
      above.on('error', () => undefined);
      above.on('data', (bytes: Buffer) => {
        this.#note(bytes);
        above.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}');
      });
    });
  }

  async listen(): Promise<URL> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return new URL(`https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
  }

  #note(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes]);
  }
}

describe('joining with someone in between', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let home: string;
  let caPem: string;
  let middle: Middle | undefined;

  before(async () => {
    api = await startTestApiServer();
    caPem = await readFile(join(api.home, 'pki', 'ca.crt'), 'utf8');
  });
  after(() => api.stop());
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'middle-'));
  });
  afterEach(async () => {
    await middle?.close();
    await rm(home, { recursive: true });
  });

  /** With the name of the real authority, so that everything but keys and signatures looks right. */
  async function impostor(): Promise<KeyAndCertificate & { authorityPem: string }> {
    const lifetime = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
    const keyPem = await newPrivateKey();
    const authorityPem = await createAuthority(keyPem, 'potluck-ca', lifetime);
    const names = { commonName: 'potluck-api-server', names: ['127.0.0.1', 'localhost'] };
    return { ...(await signServerCertificate({ keyPem, certPem: authorityPem }, names, lifetime)), authorityPem };
  }

  async function joinThrough(chain: 'own' | 'appended', passOn = 0): Promise<{ error: UserError; middle: Middle }> {
    const { keyPem, certPem, authorityPem } = await impostor();
    const chainPem = chain === 'own' ? certPem + authorityPem : certPem + caPem;
    middle = new Middle({ keyPem, chainPem }, { passOn, poolPort: Number(new URL(api.url).port) });
    const server = await middle.listen();
    const token = { id: 'a1b2c3d4', secret, caHash: authorityHash(new X509Certificate(caPem)) };
    const error: unknown = await joinPool({
      server,
      token,
      folder: agentFolder(home),
      proposal: { name: 'desk', offer: { cpu: '1' } },
      answerTimeoutMs: 10_000,
      approvalTimeoutMs: 10_000,
      signal: new AbortController().signal,
      step: (_label, run) => run(() => undefined),
    }).then(
      () => new Error('it joined'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof UserError, String(error));
    return { error, middle };
  }

  function assertNothingLeaked(seen: Middle): void {
    const text = seen.received.toString('latin1');
    for (const part of [secret, 'Bearer', 'authorization', Buffer.from(secret).toString('base64').slice(0, 20)]) {
      assert.ok(!text.toLowerCase().includes(part.toLowerCase()), `${part} was sent to someone in between`);
    }
  }

  it('refuses another authority, and sends nothing at all', async () => {
    const { error, middle: seen } = await joinThrough('own');
    assert.equal(error.code, 'PLK016');
    assert.deepEqual([seen.connections, seen.received.length], [1, 0]);
    assert.ok(!existsSync(join(home, 'agent', 'kubeconfig')));
  });

  it('refuses the real authority behind a certificate that it did not sign', async () => {
    const { error, middle: seen } = await joinThrough('appended');
    assert.equal(error.code, 'PLK016');
    assertNothingLeaked(seen);
    assert.equal(seen.received.length, 0);
  });

  for (const passOn of [1, 2]) {
    it(`refuses someone who steps in after ${passOn} honest connections`, async () => {
      const { error, middle: seen } = await joinThrough('appended', passOn);
      assert.equal(error.code, 'PLK016', error.toString());
      assert.equal(seen.connections, passOn + 1);
      assertNothingLeaked(seen);
    });
  }

  it('gets through to the pool itself, which says no more than that it does not accept the token', async () => {
    const { error, middle: seen } = await joinThrough('own', 99);
    assert.equal(error.code, 'PLK018', error.toString());
    assertNothingLeaked(seen);
  });
});
