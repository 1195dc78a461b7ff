/** PKCS#10 requests of every kind of key, for tests: what a library for good ones would not write. */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { SubjectAttribute } from './signing-request.ts';

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'P-192' | 'Ed25519' | 'RSA-2048' | 'RSA-1024' | 'RSA-512';

export interface RequestOptions {
  kind?: KeyKind;
  subject?: readonly SubjectAttribute[];
  /** All attributes of the subject in one part of it. */
  isOnePart?: boolean;
  /** Asks for an authority's certificate with the name `pool.example`. */
  isGreedy?: boolean;
}

export interface MadeRequest {
  der: Buffer;
  privateKey: KeyObject;
}

const curves: Partial<Record<KeyKind, string>> = {
  'P-256': 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
  'P-192': 'prime192v1',
};
const types: Readonly<Record<string, string>> = { CN: '550403', O: '55040a' };
const sha256WithRsa = '300d06092a864886f70d01010b0500';
const sha256WithEcdsa = '300a06082a8648ce3d040302';
const ed25519 = '300506032b6570';

export function makeRequest({ kind = 'P-256', subject = [], isOnePart = false, isGreedy = false }: RequestOptions = {}): MadeRequest {
  const { privateKey, publicKey } = newKeys(kind);
  const attributes = subject.map(({ type, value }) => element(0x30, [oid(types[type] ?? ''), element(0x0c, [Buffer.from(value)])]));
  const name = element(0x30, isOnePart ? [element(0x31, attributes)] : attributes.map((attribute) => element(0x31, [attribute])));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const info = element(0x30, [Buffer.from('020100', 'hex'), name, spki, element(0xa0, isGreedy ? [greedyExtensions()] : [])]);
  const isEd25519 = kind === 'Ed25519';
  const algorithm = isEd25519 ? ed25519 : kind in curves ? sha256WithEcdsa : sha256WithRsa;
  const signature = sign(isEd25519 ? null : 'sha256', info, privateKey);
  return { der: element(0x30, [info, Buffer.from(algorithm, 'hex'), element(0x03, [Buffer.of(0), signature])]), privateKey };
}

function newKeys(kind: KeyKind): { privateKey: KeyObject; publicKey: KeyObject } {
  const namedCurve = curves[kind];
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve });
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice('RSA-'.length)) });
}

/** extensionRequest: basicConstraints CA:true and subjectAltName, both critical. */
function greedyExtensions(): Buffer {
  const critical = Buffer.from('0101ff', 'hex');
  const constraints = element(0x30, [oid('551d13'), critical, element(0x04, [Buffer.from('30030101ff', 'hex')])]);
  const names = element(0x30, [element(0x82, [Buffer.from('pool.example')])]);
  const alternatives = element(0x30, [oid('551d11'), critical, element(0x04, [names])]);
  return element(0x30, [oid('2a864886f70d01090e'), element(0x31, [element(0x30, [constraints, alternatives])])]);
}

function oid(hex: string): Buffer {
  return element(0x06, [Buffer.from(hex, 'hex')]);
}

function element(tag: number, contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const lengthBytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...lengthBytes), content]);
}
