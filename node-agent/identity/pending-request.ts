/**
 * A request to join that has no answer yet. It is written before it is sent: whoever dies in between, or waits for an approval that takes
 * days, asks again for the very same, with a token that is spent on it already.
 */
import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { readIfThere, writeFileAtomically } from '../../apiserver/access/write-file.ts';
import type { AgentFolder } from './agent-folder.ts';
import { createCertificateRequest } from './certificate-request.ts';

export interface PendingRequest {
  /** Of the CertificateSigningRequest. */
  name: string;
  keyPem: string;
  der: Buffer;
}

interface Stored {
  name: string;
  keyPem: string;
  /** base64. */
  der: string;
}

/** The one that was made with this token before, or a new one, written. */
export async function openPendingRequest(folder: AgentFolder, tokenId: string): Promise<PendingRequest> {
  const known = parse(await readIfThere(folder.pendingRequest));
  if (known?.name.startsWith(`join-${tokenId}-`) === true) return known;
  const request = { name: `join-${tokenId}-${randomName()}`, ...(await createCertificateRequest('potluck machine')) };
  const stored: Stored = { ...request, der: request.der.toString('base64') };
  await writeFileAtomically(folder.pendingRequest, `${JSON.stringify(stored)}\n`, 0o600);
  return request;
}

export async function removePendingRequest(folder: AgentFolder): Promise<void> {
  await rm(folder.pendingRequest, { force: true });
}

/** Ten letters and digits: nobody else can have chosen the same. */
export function randomName(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length: 10 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

function parse(text: string | undefined): PendingRequest | undefined {
  try {
    const { name, keyPem, der } = JSON.parse(text ?? '') as Partial<Stored>;
    if (typeof name !== 'string' || typeof keyPem !== 'string' || typeof der !== 'string') return undefined;
    return { name, keyPem, der: Buffer.from(der, 'base64') };
  } catch {
    return undefined;
  }
}
