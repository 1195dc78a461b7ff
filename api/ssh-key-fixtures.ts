/** Lines of authorized_keys for tests, written from the key's bytes as SSH writes them. Pure. */
import type { SshKeyType } from './ssh-public-key.ts';

/** Text stands for its ASCII bytes. */
export function sshLine(type: string, ...fields: (string | Uint8Array)[]): string {
  const binary = [type, ...fields].map((field) => {
    const text = typeof field === 'string' ? field : String.fromCharCode(...field);
    const { length } = text;
    return String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255) + text;
  });
  return `${type} ${btoa(binary.join(''))}`;
}

export const rsaExponent = Uint8Array.of(1, 0, 1);

/** An odd number of so many bits, as SSH writes it; a multiple of eight. */
export function rsaModulus(bits: number): Uint8Array {
  const bytes = new Uint8Array(bits / 8 + 1).fill(0xa5);
  bytes[0] = 0;
  return bytes;
}

/** Four and two coordinates. */
export function curvePoint(coordinateBytes: number): Uint8Array {
  const bytes = new Uint8Array(1 + 2 * coordinateBytes).fill(0x5a);
  bytes[0] = 4;
  return bytes;
}

const key32 = new Uint8Array(32).fill(0x7e);

/** One key of each type; by form only: nobody has its private half. */
export const sshLines: Readonly<Record<SshKeyType, string>> = {
  'ssh-ed25519': sshLine('ssh-ed25519', key32),
  'ssh-rsa': sshLine('ssh-rsa', rsaExponent, rsaModulus(2048)),
  'ecdsa-sha2-nistp256': sshLine('ecdsa-sha2-nistp256', 'nistp256', curvePoint(32)),
  'ecdsa-sha2-nistp384': sshLine('ecdsa-sha2-nistp384', 'nistp384', curvePoint(48)),
  'ecdsa-sha2-nistp521': sshLine('ecdsa-sha2-nistp521', 'nistp521', curvePoint(66)),
  'sk-ssh-ed25519@openssh.com': sshLine('sk-ssh-ed25519@openssh.com', key32, 'ssh:'),
  'sk-ecdsa-sha2-nistp256@openssh.com': sshLine('sk-ecdsa-sha2-nistp256@openssh.com', 'nistp256', curvePoint(32), 'ssh:'),
};
