/** How every program of ours reaches the API. `kube-client.ts` implements it over @kubernetes/client-node. */
import type { KubernetesObject, ObjectKey } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Status } from '../api/status.ts';

export interface Client {
  get<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, options?: RequestOptions): Promise<T>;
  /** Follows `continue` until the list is whole. */
  list<T extends KubernetesObject>(type: ResourceType<T>, options?: ListOptions): Promise<ObjectList<T>>;
  create<T extends KubernetesObject>(type: ResourceType<T>, object: T, options?: RequestOptions): Promise<T>;
  /** PUT: `metadata.resourceVersion` decides; a conflict throws {@link ApiError} with code 409. */
  replace<T extends KubernetesObject>(type: ResourceType<T>, object: T, options?: RequestOptions): Promise<T>;
  replaceStatus<T extends KubernetesObject>(type: ResourceType<T>, object: T, options?: RequestOptions): Promise<T>;
  /** JSON merge patch; put `metadata.resourceVersion` in it to make it a compare-and-set. */
  patch<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, patch: object, options?: PatchOptions): Promise<T>;
  delete<T extends KubernetesObject>(type: ResourceType<T>, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  /** One watch request; resolves when the server ended it, rejects when it broke. Informers are what programs want. */
  watch<T extends KubernetesObject>(type: ResourceType<T>, options: WatchOptions<T>): Promise<void>;
  /** A plain request for what the methods above do not cover (discovery, raw paths). */
  request(method: string, path: string, body?: unknown, options?: RequestOptions & { contentType?: string }): Promise<unknown>;
}

export interface RequestOptions {
  signal?: AbortSignal;
  /** The request fails after this long; 30 s when absent. */
  timeoutMs?: number;
}

export interface ListOptions extends RequestOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** `0` answers from any cache. */
  resourceVersion?: string;
}

export interface ObjectList<T> {
  items: T[];
  resourceVersion: string;
}

export interface PatchOptions extends RequestOptions {
  subresource?: 'status';
}

export interface DeleteOptions extends RequestOptions {
  preconditions?: { uid?: string; resourceVersion?: string };
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

export interface WatchOptions<T> extends Omit<ListOptions, 'timeoutMs'> {
  resourceVersion: string;
  onEvent(event: WatchEvent<T>): void;
  /** The server is asked to end the watch after this long. */
  timeoutSeconds?: number;
}

export type WatchEvent<T> =
  { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T } | { type: 'BOOKMARK'; resourceVersion: string } | { type: 'ERROR'; status: Status };

/** The API answered with a failure. Network failures reject with the transport's own error instead. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  readonly status: Status | undefined;

  constructor(code: number, status: Status | undefined, message: string) {
    super(message);
    this.code = code;
    this.reason = status?.reason ?? '';
    this.status = status;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404;
}

export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.code === 409 && error.reason === 'Conflict';
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.code === 409 && error.reason === 'AlreadyExists';
}
