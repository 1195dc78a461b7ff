/** What `resourceVersion` and `resourceVersionMatch` of lists and watches mean (apimachinery `meta/internalversion/validation`). */
import { badRequest, invalid, StatusError, type FieldError } from './status-error.ts';
import type { ListOptions, WatchOptions } from './resource.ts';

/** Which state a list is to show. */
export type WantedState =
  | { kind: 'latest' }
  /** Whatever the cache has. */
  | { kind: 'any' }
  | { kind: 'notOlderThan'; revision: number }
  | { kind: 'exact'; revision: number };

const listOptionsType = { group: 'meta.k8s.io', kind: 'ListOptions' };

/** Throws 422 for combinations that mean nothing, 400 for a version that is no number. */
export function wantedState(options: ListOptions): WantedState {
  const { resourceVersion = '', resourceVersionMatch: match = '' } = options;
  const paging = options.continue !== undefined && options.continue !== '';
  const errors = listErrors(resourceVersion, match, paging);
  if (errors.length > 0) throw invalid(listOptionsType, '', errors);
  const revision = parseRevision(resourceVersion);
  if (paging) {
    if (revision > 0) throw badRequest('specifying resource version is not allowed when using continue');
    return { kind: 'latest' };
  }
  if (resourceVersion === '') return { kind: 'latest' };
  if (revision === 0) return { kind: 'any' };
  // A page of a stated revision without a match is of exactly this revision, for the sake of old clients.
  const isExact = match === 'Exact' || (match === '' && (options.limit ?? 0) > 0);
  return { kind: isExact ? 'exact' : 'notOlderThan', revision };
}

function listErrors(resourceVersion: string, match: string, paging: boolean): FieldError[] {
  if (match === '') return [];
  const field = 'resourceVersionMatch';
  const errors: FieldError[] = [];
  if (resourceVersion === '') errors.push(forbidden(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  if (paging) errors.push(forbidden(field, 'resourceVersionMatch is forbidden when continue is provided'));
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    errors.push(unsupported(field, match, '"Exact", "NotOlderThan", ""'));
  }
  if (match === 'Exact' && resourceVersion === '0') {
    errors.push(forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  return errors;
}

/** Throws 422 for combinations that mean nothing for a watch. */
export function checkWatchOptions({ resourceVersionMatch: match = '', sendInitialEvents }: WatchOptions): void {
  const field = 'resourceVersionMatch';
  const errors: FieldError[] = [];
  if (sendInitialEvents === undefined) {
    if (match !== '') errors.push(forbidden(field, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
  } else if (match !== 'NotOlderThan') {
    errors.push(forbidden(field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
    if (match !== '') errors.push(unsupported(field, match, '"NotOlderThan"'));
  }
  if (errors.length > 0) throw invalid(listOptionsType, '', errors);
}

/** The empty text is 0. Throws 400. */
export function parseRevision(text: string): number {
  if (text === '') return 0;
  const revision = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(revision)) {
    const why = /^[0-9]+$/.test(text) ? 'value out of range' : 'invalid syntax';
    const quoted = JSON.stringify(text);
    throw badRequest(`invalid resource version: resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: ${why}`);
  }
  return revision;
}

/** 504: the store has not come so far. */
export function tooLarge(revision: number, current: number): StatusError {
  return new StatusError({
    message: `Timeout: Too large resource version: ${revision}, current: ${current}`,
    reason: 'Timeout',
    details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 },
    code: 504,
  });
}

function forbidden(field: string, why: string): FieldError {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${why}` };
}

function unsupported(field: string, value: string, supported: string): FieldError {
  return {
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`,
  };
}
