import type { Status, StatusCause } from '../../api/status.ts';

/** An error that reaches the client as a `Status` body with its HTTP code. Constructors for each reason stand beside where they arise. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: Status;

  constructor(status: Omit<Status, 'kind' | 'apiVersion' | 'metadata' | 'status'> & { code: number; metadata?: Status['metadata'] }) {
    super(status.message ?? status.reason ?? `HTTP ${status.code}`);
    this.status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', ...status };
  }

  get code(): number {
    return this.status.code ?? 500;
  }
}

/** Names a resource in messages: `instances.potluck.dev`, or `secrets` in the core group. */
export function qualifiedName(resource: string, group: string): string {
  return group === '' ? resource : `${resource}.${group}`;
}

interface Named {
  group: string;
  resource: string;
  kind: string;
}

function details(group: string, kind: string, name: string, causes?: StatusCause[]): NonNullable<Status['details']> {
  return {
    ...(name === '' ? {} : { name }),
    ...(group === '' ? {} : { group }),
    kind,
    ...(causes === undefined ? {} : { causes }),
  };
}

export function notFound(type: Named, name: string): StatusError {
  return new StatusError({
    message: `${qualifiedName(type.resource, type.group)} "${name}" not found`,
    reason: 'NotFound',
    details: details(type.group, type.resource, name),
    code: 404,
  });
}

export function alreadyExists(type: Named, name: string): StatusError {
  return new StatusError({
    message: `${qualifiedName(type.resource, type.group)} "${name}" already exists`,
    reason: 'AlreadyExists',
    details: details(type.group, type.resource, name),
    code: 409,
  });
}

export function conflict(type: Named, name: string, why: string): StatusError {
  return new StatusError({
    message: `Operation cannot be fulfilled on ${qualifiedName(type.resource, type.group)} "${name}": ${why}`,
    reason: 'Conflict',
    details: details(type.group, type.resource, name),
    code: 409,
  });
}

export function badRequest(message: string): StatusError {
  return new StatusError({ message, reason: 'BadRequest', code: 400 });
}

/** One thing wrong with one field; `reason` is Kubernetes' cause reason, for example FieldValueInvalid. */
export interface FieldError {
  reason: string;
  field: string;
  /** Without the field's name, for example `Invalid value: 99: should be less than or equal to 10`. */
  message: string;
}

/** Most errors that one answer names. */
const mostErrors = 100;

/** 422 with every error as a cause, up to a bound: a body can hold a hundred thousand of them. */
export function invalid(type: { group: string; kind: string }, name: string, errors: readonly FieldError[]): StatusError {
  const named = errors.slice(0, mostErrors);
  const parts = named.map((error) => `${error.field}: ${error.message}`);
  if (errors.length > named.length) parts.push(`and ${errors.length - named.length} more errors`);
  const list = parts.length === 1 ? (parts[0] ?? '') : `[${parts.join(', ')}]`;
  return new StatusError({
    message: `${qualifiedName(type.kind, type.group)} "${name}" is invalid: ${list}`,
    reason: 'Invalid',
    details: details(
      type.group,
      type.kind,
      name,
      named.map(({ reason, message, field }) => ({ reason, message, field })),
    ),
    code: 422,
  });
}
