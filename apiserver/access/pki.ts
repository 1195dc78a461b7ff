/** The pool's own certificate authority and the API server's certificate, kept as PEM files in one directory. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { hostname, type NetworkInterfaceInfo } from 'node:os';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import type { ClientSubject, KeyAndCertificate } from './certificates.ts';
import { createAuthority, newPrivateKey, signClientCertificate, signServerCertificate } from './certificates.ts';
import { readIfThere, writeFileAtomically, writeSecretOnce } from './write-file.ts';

const dayMs = 86_400_000;
const authorityLifetimeMs = 3650 * dayMs;
const serverLifetimeMs = 365 * dayMs;
const renewBeforeMs = 60 * dayMs;

export interface Pki {
  readonly caPem: string;
  readonly server: KeyAndCertificate;
  /** A new key and its certificate, back-dated by an hour. */
  issueClientCertificate(client: ClientSubject & { lifetimeMs: number }): Promise<KeyAndCertificate>;
}

export interface PkiOptions {
  /** Made when absent, readable by its owner only. */
  directory: string;
  /** Names and addresses by which clients reach this server, besides those of the machine itself. */
  serverNames: readonly string[];
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Reads the authority and the server's certificate, making what is missing. The authority is kept for ever; the server's certificate is
 * made anew when its names differ, when it is near its end, or when it is not the authority's.
 */
export async function openPki(options: PkiOptions): Promise<Pki> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const authority = await openAuthority(options);
  const server = await openServerCertificate(authority, options);
  return {
    caPem: authority.certPem,
    server,
    issueClientCertificate: ({ lifetimeMs, ...client }) => signClientCertificate(authority, client, { nowMs: options.now(), lifetimeMs }),
  };
}

/** Links of containers and of instances: nobody reaches the API by their addresses. */
const virtualLink = /^(plk|docker|veth|br-)/u;

/** The addresses by which other machines reach a server that listens on all of them; link-local ones are left out, being of one link only. */
export function machineAddresses(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string[] {
  const own = Object.entries(interfaces).filter(([link]) => !virtualLink.test(link));
  const addresses = own.flatMap(([, infos = []]) => infos).filter(({ internal, address }) => !internal && !/^fe[89ab]/iu.test(address));
  return [...new Set(addresses.map(({ address }) => address))].sort();
}

/** The names that the API server is always known by on its own machine, then the others, each once. */
export function serverNames(others: readonly string[]): string[] {
  const own = ['localhost', '127.0.0.1', '::1', hostname(), 'kubernetes', 'kubernetes.default'];
  return [...new Set([...own, ...others].filter((name) => name !== '' && name !== '0.0.0.0' && name !== '::'))];
}

async function openAuthority({ directory, now }: PkiOptions): Promise<KeyAndCertificate> {
  const keyPath = join(directory, 'ca.key');
  const certPath = join(directory, 'ca.crt');
  const kept = { keyPem: await readIfThere(keyPath), certPem: await readIfThere(certPath) };
  if (kept.keyPem === undefined && kept.certPem !== undefined) {
    throw damaged(keyPath, 'is missing although ca.crt is there');
  }
  // The key is written first: a crash before the certificate leaves a key that the next start uses.
  const keyPem = kept.keyPem ?? (await writeSecretOnce(keyPath, await newPrivateKey()));
  const certPem =
    kept.certPem ??
    (await readIfThere(certPath)) ??
    (await createAuthority(keyPem, 'potluck-ca', { nowMs: now(), lifetimeMs: authorityLifetimeMs }));
  if (!belongTogether({ keyPem, certPem })) throw damaged(certPath, 'is not the certificate of ca.key');
  if (kept.certPem === undefined) await writeFileAtomically(certPath, certPem, 0o644);
  return { keyPem, certPem };
}

async function openServerCertificate(authority: KeyAndCertificate, options: PkiOptions): Promise<KeyAndCertificate> {
  const keyPath = join(options.directory, 'server.key');
  const certPath = join(options.directory, 'server.crt');
  const names = serverNames(options.serverNames);
  const keyPem = await readIfThere(keyPath);
  const certPem = await readIfThere(certPath);
  if (keyPem !== undefined && certPem !== undefined && isUsable({ keyPem, certPem }, authority, names, options.now()))
    return { keyPem, certPem };
  const made = await signServerCertificate(
    authority,
    { commonName: 'potluck-api-server', names },
    { nowMs: options.now(), lifetimeMs: serverLifetimeMs },
  );
  await writeFileAtomically(keyPath, made.keyPem, 0o600);
  await writeFileAtomically(certPath, made.certPem, 0o644);
  return made;
}

function isUsable(pair: KeyAndCertificate, authority: KeyAndCertificate, names: readonly string[], nowMs: number): boolean {
  if (!belongTogether(pair)) return false;
  const certificate = new X509Certificate(pair.certPem);
  const issuer = new X509Certificate(authority.certPem);
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
  if (certificate.validToDate.getTime() - nowMs < renewBeforeMs || certificate.validFromDate.getTime() > nowMs) return false;
  return sameNames(certificate.subjectAltName ?? '', names);
}

function sameNames(subjectAltName: string, names: readonly string[]): boolean {
  const held = subjectAltName.split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/u, ''));
  const normal = (name: string): string => (isIP(name) === 6 ? new URL(`http://[${name}]`).hostname : name.toLowerCase());
  const heldNames = new Set(held.map(normal));
  return heldNames.size === new Set(names.map(normal)).size && names.every((name) => heldNames.has(normal(name)));
}

function belongTogether({ keyPem, certPem }: KeyAndCertificate): boolean {
  try {
    return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

function damaged(path: string, what: string): UserError {
  return new UserError('STATE_DAMAGED', `${path} ${what}`, 'Restore both files from a backup, or remove both to begin a new pool');
}
