/** An SSH key pair as OpenSSH keeps it: its `PROTOCOL.key` (openssh-key-v1, without a passphrase) and one line for known_hosts. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

export interface SshKeyPair {
  /** For a file of mode 0600. */
  privatePem: string;
  /** `ssh-ed25519 AAAA…`. */
  publicLine: string;
}

const type = 'ssh-ed25519';
const seedBytes = 32;
const blockBytes = 8;

/** A new Ed25519 pair. */
export function makeSshKeyPair(comment: string): SshKeyPair {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  return encodeSshKeyPair(Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url'), comment, randomBytes(4));
}

/** `check`: four random bytes, by which a reader with the wrong passphrase would see that it is wrong. */
export function encodeSshKeyPair(seed: Buffer, publicKey: Buffer, comment: string, check: Buffer): SshKeyPair {
  if (seed.length !== seedBytes || publicKey.length !== seedBytes) throw new RangeError('an Ed25519 key has 32 bytes');
  const blob = Buffer.concat([field(type), field(publicKey)]);
  const secret = Buffer.concat([check, check, field(type), field(publicKey), field(Buffer.concat([seed, publicKey])), field(comment)]);
  const padding = Buffer.from(Array.from({ length: (blockBytes - (secret.length % blockBytes)) % blockBytes }, (_, index) => index + 1));
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0', 'latin1'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(blob),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privatePem: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicLine: `${type} ${blob.toString('base64')}`,
  };
}

/** Behind its length in four bytes, as RFC 4251 has it. */
function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
