/**
 * Query parameters, read and checked as Kubernetes does (k8s.io/apimachinery `pkg/apis/meta/v1/validation`, `internalversion/validation`).
 * Pure.
 */
import type { DeleteOptions, ListOptions, WatchOptions, WriteOptions } from '../registry/resource.ts';
import type { FieldError } from '../registry/status-error.ts';
import { badRequest, invalid } from '../registry/status-error.ts';

const longestFieldManager = 128;

/** Everything but `0` and `false`, in any case, is true; an absent parameter is false. */
export function parseBoolean(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

export function parseInteger(value: string | null): number | undefined {
  if (value === null || value === '') return undefined;
  if (!/^[+-]?\d+$/u.test(value)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: value out of range`);
  return number;
}

/** The manager's name for writes that do not say it: the User-Agent's first word up to `/`, its printable start, 128 bytes at most. */
export function managerFromUserAgent(userAgent: string | undefined): string {
  const [product = ''] = (userAgent ?? '').split('/');
  const printable = /^[\x20-\x7e]*/u.exec(product)?.[0] ?? '';
  return printable.slice(0, longestFieldManager);
}

type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions' | 'ListOptions';

function refuse(kind: OptionsKind, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors);
}

export interface Requester {
  user: WriteOptions['user'];
  userAgent: string | undefined;
  recheck?: WriteOptions['recheck'] | undefined;
}

function recheckOf({ recheck }: Requester): Pick<WriteOptions, 'recheck'> {
  return recheck === undefined ? {} : { recheck };
}

/** For create, update and patch. `isApply`: a server-side apply, which must name its manager. */
export function parseWriteOptions(
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  query: URLSearchParams,
  requester: Requester,
  isApply = false,
): WriteOptions & { force: boolean } {
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  const fieldManager = query.get('fieldManager') ?? '';
  const fieldValidation = query.get('fieldValidation') ?? '';
  const force = query.get('force');
  const errors = [...dryRunErrors(dryRun)];
  if (kind === 'PatchOptions') errors.unshift(...applyErrors(isApply, fieldManager, force));
  errors.push(...managerErrors(fieldManager), ...validationErrors(fieldValidation));
  refuse(kind, errors);
  return {
    user: requester.user,
    dryRun: dryRun.length > 0,
    fieldManager: fieldManager === '' ? managerFromUserAgent(requester.userAgent) : fieldManager,
    fieldValidation: fieldValidation === '' ? 'Warn' : (fieldValidation as WriteOptions['fieldValidation']),
    warnings: [],
    ...recheckOf(requester),
    force: parseBoolean(force),
  };
}

function applyErrors(isApply: boolean, fieldManager: string, force: string | null): FieldError[] {
  if (isApply && fieldManager === '') {
    return [{ reason: 'FieldValueRequired', field: 'fieldManager', message: 'Required value: is required for apply patch' }];
  }
  if (!isApply && force !== null) {
    return [{ reason: 'FieldValueForbidden', field: 'force', message: 'Forbidden: may not be specified for non-apply patch' }];
  }
  return [];
}

function dryRunErrors(dryRun: readonly string[]): FieldError[] {
  if (dryRun.every((value) => value === 'All')) return [];
  const given = `[${dryRun.map((value) => JSON.stringify(value)).join(',')}]`;
  return [{ reason: 'FieldValueNotSupported', field: 'dryRun', message: `Unsupported value: ${given}: supported values: "All"` }];
}

function managerErrors(fieldManager: string): FieldError[] {
  const errors: FieldError[] = [];
  const field = 'fieldManager';
  if (new TextEncoder().encode(fieldManager).length > longestFieldManager) {
    errors.push({ reason: 'FieldValueTooLong', field, message: `Too long: may not be more than ${longestFieldManager} bytes` });
  }
  if (/\p{C}/u.test(fieldManager)) {
    const message = `Invalid value: ${JSON.stringify(fieldManager)}: should only contain printable characters`;
    errors.push({ reason: 'FieldValueInvalid', field, message });
  }
  return errors;
}

function validationErrors(fieldValidation: string): FieldError[] {
  if (['', 'Ignore', 'Warn', 'Strict'].includes(fieldValidation)) return [];
  const message = `Unsupported value: ${JSON.stringify(fieldValidation)}: supported values: "", "Ignore", "Strict", "Warn"`;
  return [{ reason: 'FieldValueNotSupported', field: 'fieldValidation', message }];
}

/** `metav1.DeleteOptions` as a body carries it. */
export interface DeleteOptionsBody {
  kind?: unknown;
  gracePeriodSeconds?: unknown;
  preconditions?: { uid?: unknown; resourceVersion?: unknown } | null;
  orphanDependents?: unknown;
  propagationPolicy?: unknown;
  dryRun?: unknown;
}

/** The query, when a DELETE has no body. */
export function deleteOptionsFromQuery(query: URLSearchParams): DeleteOptionsBody {
  const gracePeriodSeconds = parseInteger(query.get('gracePeriodSeconds'));
  const orphan = query.get('orphanDependents');
  const policy = query.get('propagationPolicy');
  return {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(orphan === null ? {} : { orphanDependents: parseBoolean(orphan) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    dryRun: query.getAll('dryRun').filter((value) => value !== ''),
  };
}

export function parseDeleteOptions(body: DeleteOptionsBody, requester: Requester): DeleteOptions {
  const { gracePeriodSeconds, preconditions, orphanDependents, propagationPolicy, dryRun } = body;
  checkDeleteOptions(body);
  const policy = propagationPolicy === undefined || propagationPolicy === '' ? undefined : (propagationPolicy as string | null);
  const dryRuns = (dryRun ?? []) as string[];
  refuse('DeleteOptions', [...policyErrors(policy ?? undefined, orphanDependents), ...dryRunErrors(dryRuns)]);
  const required = textsOf(preconditions ?? {});
  const chosen = policy ?? orphanPolicy(orphanDependents);
  return {
    user: requester.user,
    dryRun: dryRuns.length > 0,
    fieldManager: managerFromUserAgent(requester.userAgent),
    fieldValidation: 'Warn',
    warnings: [],
    ...recheckOf(requester),
    ...(Object.keys(required).length === 0 ? {} : { preconditions: required }),
    ...(chosen === undefined ? {} : { propagationPolicy: chosen as NonNullable<DeleteOptions['propagationPolicy']> }),
    ...(typeof gracePeriodSeconds === 'number' ? { gracePeriodSeconds } : {}),
  };
}

/** Types are checked strictly: a condition or a dry run that was not understood would delete what the client meant to keep. */
function checkDeleteOptions({
  kind,
  gracePeriodSeconds,
  preconditions,
  orphanDependents,
  propagationPolicy,
  dryRun,
}: DeleteOptionsBody): void {
  if (kind !== undefined && kind !== '' && kind !== 'DeleteOptions') {
    throw badRequest(`the body of a DELETE must be DeleteOptions, not ${JSON.stringify(kind)}`);
  }
  const isText = (value: unknown): boolean => typeof value === 'string';
  const { uid, resourceVersion } = typeof preconditions === 'object' ? (preconditions ?? {}) : {};
  const claims: [field: string, value: unknown, holds: (value: unknown) => boolean, expected: string][] = [
    ['gracePeriodSeconds', gracePeriodSeconds, Number.isSafeInteger, 'an integer'],
    ['orphanDependents', orphanDependents, (value) => typeof value === 'boolean', 'a boolean'],
    ['propagationPolicy', propagationPolicy, isText, 'a string'],
    ['dryRun', dryRun, (value) => Array.isArray(value) && value.every(isText), 'a list of strings'],
    ['preconditions', preconditions, (value) => typeof value === 'object' && !Array.isArray(value), 'an object'],
    ['preconditions.uid', uid, isText, 'a string'],
    ['preconditions.resourceVersion', resourceVersion, isText, 'a string'],
  ];
  for (const [field, value, holds, expected] of claims) {
    if (value !== undefined && value !== null && !holds(value)) throw badRequest(`DeleteOptions.${field}: expected ${expected}`);
  }
}

function policyErrors(policy: string | undefined, orphanDependents: unknown): FieldError[] {
  const field = 'propagationPolicy';
  if (policy === undefined) return [];
  if (typeof orphanDependents === 'boolean') {
    const message = `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`;
    return [{ reason: 'FieldValueInvalid', field, message }];
  }
  if (['Foreground', 'Background', 'Orphan'].includes(policy)) return [];
  const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`;
  return [{ reason: 'FieldValueNotSupported', field, message }];
}

function orphanPolicy(orphanDependents: unknown): string | undefined {
  if (typeof orphanDependents !== 'boolean') return undefined;
  return orphanDependents ? 'Orphan' : 'Background';
}

function textsOf({ uid, resourceVersion }: { uid?: unknown; resourceVersion?: unknown }): { uid?: string; resourceVersion?: string } {
  return { ...(typeof uid === 'string' ? { uid } : {}), ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}) };
}

function selection(
  query: URLSearchParams,
  namespace: string | undefined,
): Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'> {
  return {
    ...(namespace === undefined ? {} : { namespace }),
    ...optional('labelSelector', query),
    ...optional('fieldSelector', query),
  };
}

function optional<K extends string>(key: K, query: URLSearchParams): Partial<Record<K, string>> {
  const value = query.get(key);
  return value === null || value === '' ? {} : ({ [key]: value } as Record<K, string>);
}

/** For list and deletecollection. What resourceVersion and its match may be is the registry's to say. */
export function parseListOptions(query: URLSearchParams, namespace: string | undefined): ListOptions {
  if (query.get('sendInitialEvents') !== null) {
    const message = 'Forbidden: sendInitialEvents is forbidden for list';
    refuse('ListOptions', [{ reason: 'FieldValueForbidden', field: 'sendInitialEvents', message }]);
  }
  parseInteger(query.get('timeoutSeconds'));
  const limit = parseInteger(query.get('limit'));
  return {
    ...selection(query, namespace),
    ...(limit === undefined || limit <= 0 ? {} : { limit }),
    ...optional('continue', query),
    ...optional('resourceVersion', query),
    ...optional('resourceVersionMatch', query),
  };
}

export interface WatchRequest {
  options: WatchOptions;
  /** Absent: the server chooses. */
  timeoutSeconds?: number;
}

export function parseWatchRequest(query: URLSearchParams, namespace: string | undefined): WatchRequest {
  const initial = query.get('sendInitialEvents');
  const timeoutSeconds = parseInteger(query.get('timeoutSeconds'));
  return {
    options: {
      ...selection(query, namespace),
      ...optional('resourceVersion', query),
      ...optional('resourceVersionMatch', query),
      ...(initial === null ? {} : { sendInitialEvents: parseBoolean(initial) }),
      allowWatchBookmarks: parseBoolean(query.get('allowWatchBookmarks')),
    },
    ...(timeoutSeconds === undefined || timeoutSeconds <= 0 ? {} : { timeoutSeconds }),
  };
}
