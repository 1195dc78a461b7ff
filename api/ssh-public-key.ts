/**
 * One line of OpenSSH's authorized_keys without options: `TYPE BASE64 [COMMENT]`. The base64 part is the key as RFC 4253, 5656, 8709 and OpenSSH's
 * PROTOCOL.u2f write it: fields, each behind its length in four bytes. Pure; the SHA-256 that a fingerprint needs is the caller's.
 */

/** What the CRD accepts too; no DSA, no certificates, no RSA key shorter than {@link leastRsaBits}. */
export const sshKeyTypes = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
] as const;

export type SshKeyType = (typeof sshKeyTypes)[number];

export const leastRsaBits = 2048;
/** OpenSSH's own bound. */
const mostRsaBits = 16_384;
/** A public exponent is 65537 nearly always. */
const mostExponentBytes = 5;

export interface SshPublicKey {
  type: SshKeyType;
  /** As `ssh-keygen -l` counts them. */
  bits: number;
  /** What a fingerprint is the SHA-256 of. */
  blob: Uint8Array;
  /** Empty where there is none. */
  comment: string;
}

/** `problem` says in a few words why the line is no public key. */
export type ParsedSshPublicKey = { key: SshPublicKey; problem?: undefined } | { key?: undefined; problem: string };

class KeyError extends Error {
  override readonly name = 'KeyError';
}

export function parseSshPublicKey(line: string): ParsedSshPublicKey {
  try {
    return { key: parseLine(line) };
  } catch (error) {
    if (error instanceof KeyError) return { problem: error.message };
    throw error;
  }
}

/** As `ssh-keygen -l` prints it, of the SHA-256 of a key's blob in base64. */
export function sshFingerprint(sha256Base64: string): string {
  return `SHA256:${sha256Base64.replace(/=+$/, '')}`;
}

function parseLine(line: string): SshPublicKey {
  if (line.includes('PRIVATE KEY'))
    throw new KeyError('it is a private key; give the public one, and make a new pair, since this one was sent');

  if (/[\x00-\x1f\x7f]/.test(line)) throw new KeyError('it must be one line without control characters');
  const [word = '', base64 = ''] = line.split(' ', 2);
  const type = sshKeyTypes.find((known) => known === word);
  if (type === undefined) throw new KeyError(`it must begin with one of ${sshKeyTypes.join(', ')}, without options before it`);
  const blob = decodeBase64(base64);
  if (blob === undefined) throw new KeyError(`${type} must be followed by one space and the key in base64`);
  const comment = line.slice(type.length + base64.length + 2);
  const fields = new Fields(blob);
  const inner = fields.nextText();
  if (inner !== type) throw new KeyError(`the base64 part is no ${type} key`);
  const bits = readKey(type, fields);
  if (!fields.atEnd) throw new KeyError('something follows the key in its base64 part');
  return { type, bits, blob, comment };
}

/** Reads what follows the type's name; answers the key's length in bits. */
function readKey(type: SshKeyType, fields: Fields): number {
  switch (type) {
    case 'ssh-rsa':
      return readRsa(fields);
    case 'ssh-ed25519':
      return readEd25519(fields);
    case 'sk-ssh-ed25519@openssh.com': {
      const bits = readEd25519(fields);
      readApplication(fields);
      return bits;
    }
    case 'ecdsa-sha2-nistp256':
      return readPoint(fields, 256);
    case 'ecdsa-sha2-nistp384':
      return readPoint(fields, 384);
    case 'ecdsa-sha2-nistp521':
      return readPoint(fields, 521);
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const bits = readPoint(fields, 256);
      readApplication(fields);
      return bits;
    }
  }
}

function readEd25519(fields: Fields): number {
  if (fields.next().length !== 32) throw new KeyError('an Ed25519 key has 32 bytes');
  return 256;
}

function readPoint(fields: Fields, bits: 256 | 384 | 521): number {
  if (fields.nextText() !== `nistp${bits}`) throw new KeyError(`the key is on another curve than nistp${bits}`);
  const point = fields.next();
  // 4: both coordinates follow. OpenSSH takes no other form.
  if (point.length !== 1 + 2 * Math.ceil(bits / 8) || point[0] !== 4) throw new KeyError(`the key is no point of nistp${bits}`);
  return bits;
}

function readApplication(fields: Fields): void {
  if (fields.next().length === 0) throw new KeyError('the application of the security key is missing');
}

function readRsa(fields: Fields): number {
  const exponent = fields.nextNumber();
  const modulus = fields.nextNumber();
  if (exponent.length > mostExponentBytes) throw new KeyError(`the exponent is longer than ${mostExponentBytes} bytes`);
  const bits = modulus.length * 8 - Math.clz32((modulus[0] ?? 0) << 24);
  if (bits < leastRsaBits) throw new KeyError(`an RSA key must have at least ${leastRsaBits} bits, and this one has ${bits}`);
  if (bits > mostRsaBits) throw new KeyError(`an RSA key may have at most ${mostRsaBits} bits, and this one has ${bits}`);
  return bits;
}

/** Walks through the fields of a blob. */
class Fields {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  next(): Uint8Array {
    const left = this.#bytes.subarray(this.#offset);
    if (left.length < 4) throw new KeyError('the key is cut off');
    const length = new DataView(left.buffer, left.byteOffset).getUint32(0);
    if (length > left.length - 4) throw new KeyError('the key is cut off');
    this.#offset += 4 + length;
    return left.subarray(4, 4 + length);
  }

  nextText(): string {
    return String.fromCharCode(...this.next().subarray(0, 64));
  }

  /** A positive number in its shortest form, without the zero byte that keeps it from being negative. */
  nextNumber(): Uint8Array {
    const bytes = this.next();
    const [first = 0, second = 0] = bytes;
    const isShortest = first === 0 ? second >= 0x80 : first < 0x80;
    if (bytes.length === 0 || !isShortest) throw new KeyError('a number of the key is not written as SSH writes it');
    return first === 0 ? bytes.subarray(1) : bytes;
  }
}

/** Undefined for what is no base64, or not the only way to write these bytes. */
function decodeBase64(text: string): Uint8Array | undefined {
  if (text === '' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const binary = atob(text);
  return btoa(binary) === text ? Uint8Array.from(binary, (character) => character.charCodeAt(0)) : undefined;
}
