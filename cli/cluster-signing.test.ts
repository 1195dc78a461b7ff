import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../api/errors.ts';
import { newPrivateKey } from '../apiserver/access/certificates.ts';
import { openPki } from '../apiserver/access/pki.ts';
import { signingOptions } from './cluster-signing.ts';
import { poolPaths } from './up/pool-paths.ts';

describe('signingOptions()', () => {
  let home: string;
  const options = (flags: { cert?: string; key?: string; duration?: string } = {}): ReturnType<typeof signingOptions> =>
    signingOptions(
      {
        'cluster-signing-cert-file': flags.cert,
        'cluster-signing-key-file': flags.key,
        'cluster-signing-duration': flags.duration ?? '24h',
      },
      poolPaths(home),
    );
  const refuses = (what: RegExp) => (error: unknown) => error instanceof UserError && what.test(error.toString());

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-signing-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  it('leaves signing to others where there is no authority', async () => {
    assert.equal(await options(), undefined);
    await assert.rejects(options({ key: join(home, 'ca.key') }), refuses(/^PLK010 .*ca\.crt and .*ca\.key cannot sign: ENOENT/u));
  });

  it('takes the pool’s own, and durations as Go writes them', async () => {
    await openPki({ directory: join(home, 'pki'), serverNames: [], now: () => Date.now() });
    assert.equal((await options())?.durationMs, 86_400_000);
    assert.equal((await options({ duration: '1h30m' }))?.durationMs, 5_400_000);
    assert.equal((await options({ duration: '20s' }))?.durationMs, 20_000);
    for (const duration of ['', '24', '-1h', '0', '500ms', 'a day']) {
      await assert.rejects(options({ duration }), refuses(/is no duration of a second or more\. For example 24h/u), duration);
    }
  });

  it('refuses a key that is not the certificate’s, and a certificate that is no authority’s', async () => {
    const directory = join(home, 'pki');
    await openPki({ directory, serverNames: [], now: () => Date.now() });
    const [other, text] = [join(home, 'other.key'), join(home, 'text')];
    await writeFile(other, await newPrivateKey());
    await writeFile(text, 'no PEM');
    await assert.rejects(options({ key: other }), refuses(/the key is not the one of the certificate/u));
    await assert.rejects(
      options({ cert: join(directory, 'server.crt'), key: join(directory, 'server.key') }),
      refuses(/is not one of an authority/u),
    );
    await assert.rejects(options({ key: text }), refuses(/cannot sign/u));
  });

  it('verifies signatures by identity keys, and is not thrown off by what is none', async () => {
    await openPki({ directory: join(home, 'pki'), serverNames: [], now: () => Date.now() });
    const signer = (await options())?.signer;
    assert.ok(signer);
    // RFC 8032, section 7.1, test 2.
    const key = Buffer.from('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', 'hex');
    const signature = Buffer.from(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      'hex',
    );
    const proof = { key, signature, message: Buffer.from('72', 'hex') };
    assert.equal(signer.verifyIdentity(proof), true);
    assert.equal(signer.verifyIdentity({ ...proof, message: Buffer.from('73', 'hex') }), false);
    assert.equal(signer.verifyIdentity({ ...proof, key: Buffer.alloc(5) }), false);
    assert.equal(signer.verifyIdentity({ ...proof, signature: Buffer.alloc(0) }), false);
  });
});
