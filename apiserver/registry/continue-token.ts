/** The continue token of paged lists, as Kubernetes writes it (k8s.io/apiserver `pkg/storage/continue.go`). */
import { badRequest } from './status-error.ts';
import { isObject } from '../admission/json-value.ts';

const tokenVersion = 'meta.k8s.io/v1';

export interface ContinueToken {
  /** -1: from the present state, inconsistent with the pages before. */
  revision: number;
  /** First key of the page, relative to the prefix that is listed. */
  start: string;
}

export function encodeContinue(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: tokenVersion, rv: token.revision, start: token.start })).toString('base64url');
}

/** Throws 400 for what is no token. */
export function decodeContinue(text: string): ContinueToken {
  const illegal = /[^A-Za-z0-9_-]/.exec(text);
  if (illegal !== null || text.length % 4 === 1) {
    throw refused(`continue key is not valid: illegal base64 data at input byte ${illegal?.index ?? Math.floor(text.length / 4) * 4}`);
  }
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch (error) {
    throw refused(`continue key is not valid: ${error instanceof Error ? error.message : String(error)}`);
  }
  return checkToken(decoded);
}

function checkToken(decoded: unknown): ContinueToken {
  const { v: version, rv: revision, start } = isObject(decoded) ? decoded : {};
  if (version !== tokenVersion) {
    throw refused(`continue key is not valid: server does not recognize this encoded version ${JSON.stringify(version)}`);
  }
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision === 0 || revision < -1) {
    throw refused('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  }
  if (typeof start !== 'string' || start === '')
    throw refused('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)');
  // A start that climbs would read other resources.
  const segments = start.split('/');
  if (segments.includes('..') || segments.includes('.')) throw refused(`continue key is not valid: ${start}`);
  return { revision, start: start.startsWith('/') ? start.slice(1) : start };
}

function refused(message: string): Error {
  return badRequest(`invalid continue token: ${message}`);
}
