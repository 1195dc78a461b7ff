/**
 * What the API server serves, as the registry sees it: one {@link ResourceDefinition} for each resource, whether it comes from the table
 * of built-in types or from a CustomResourceDefinition. The HTTP layer knows only this file of the registry.
 */
import type { KubernetesObject, ObjectKey } from '../../api/object.ts';
import type { QuotaAmountSource } from '../../api/quota-usage.ts';
import type { StructuralSchema } from '../admission/structural-schema.ts';
import type { SubresourceDefinition } from './subresources.ts';

/** The definition of one resource at one served version. */
export interface ResourceDefinition {
  group: string;
  version: string;
  /** Plural name, as in URLs. */
  resource: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  shortNames: readonly string[];
  categories: readonly string[];
  verbs: readonly string[];
  /** Drops what it does not know, fills defaults, and checks; shared by all objects of the resource. */
  schema: StructuralSchema;
  /** In the order of discovery. */
  subresources: readonly SubresourceDefinition[];
  /** Field selectors other than metadata.name and metadata.namespace: label as users write it (`.spec.x` without the dot) to its path. */
  selectableFields: ReadonlyMap<string, readonly string[]>;
  printerColumns: readonly PrinterColumn[];
  /** `strategic` for built-in types; custom resources answer 415. */
  patchTypes: readonly PatchType[];
  /** Amounts of its objects that quotas sum, besides their number. */
  quotaAmounts?: readonly QuotaAmountSource[];
  /** True for what a CRD declared. */
  custom: boolean;
  storageVersionHash: string;
  deprecationWarning?: string;
}

export interface PrinterColumn {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
  /** A JSONPath without braces, for example `.status.phase`; or, for built-in types, a function. */
  value: string | ((object: KubernetesObject, nowMs: number) => unknown);
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

/** Who asks; made by `access/`. */
export interface UserInfo {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** Throws 403 when what allowed a write does not hold for the object itself, of which the request's URL could not tell enough. */
export type Recheck = (write: { name: string; object: unknown; oldObject: unknown }) => void;

/** What came with a write besides the object. */
export interface WriteOptions {
  user: UserInfo;
  dryRun: boolean;
  /** From the query, else the first word of the User-Agent up to `/`. */
  fieldManager: string;
  fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** The registry adds what goes out as `Warning: 299 - "…"`. */
  warnings: string[];
  /** What the audit log is to say besides; absent when nobody reads it. */
  auditAnnotations?: Record<string, string>;
  /** Absent when the request was allowed whatever the object is. */
  recheck?: Recheck;
  /** Paths that the body's JSON named twice, found while decoding: refused, warned of or ignored like unknown fields. */
  duplicateFields?: readonly string[];
}

export interface DeleteOptions extends WriteOptions {
  preconditions?: { uid?: string; resourceVersion?: string };
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  gracePeriodSeconds?: number;
}

export interface Selection {
  /** Absent: all namespaces, or a cluster-scoped resource. */
  namespace?: string;
  /** As in the query; parsed, and refused, by the registry. */
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ListOptions extends Selection {
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: string;
}

export interface WatchOptions extends Selection {
  resourceVersion?: string;
  resourceVersionMatch?: string;
  sendInitialEvents?: boolean;
  allowWatchBookmarks: boolean;
  /** Whether changes carry the state before them. */
  withPrevious?: boolean;
}

/** An object as stored, with the bytes that a reader of JSON gets; both carry `metadata.resourceVersion`. Never change `object`. */
export interface StoredObject {
  readonly object: KubernetesObject;
  /** UTF-8 JSON of `object`, kept so that many readers share one encoding. */
  readonly bytes: Uint8Array;
  readonly revision: number;
}

export interface ObjectList {
  items: StoredObject[];
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

export type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; stored: StoredObject; previous?: StoredObject }
  /** `initialEventsEnd` marks the bookmark that closes the initial events of a WatchList. */
  | { type: 'BOOKMARK'; revision: number; initialEventsEnd: boolean };

/**
 * One client's watch. The registry calls `onEvent` in order and never waits; the HTTP layer keeps the buffer of a slow client bounded and
 * calls `close` when it overflows.
 */
export interface WatchSink {
  onEvent(event: WatchEvent): void;
  /** The watch cannot go on; the error becomes an ERROR event. */
  onError(error: Error): void;
}

export interface WatchHandle {
  close(): void;
}

export interface WriteResult {
  stored: StoredObject;
  /** True when a PATCH or PUT made the object. */
  created: boolean;
}

export type DeleteResult =
  /** Gone at once. */
  | { gone: true; object: KubernetesObject }
  /** Waits for finalizers. */
  | { gone: false; stored: StoredObject };

/** The verbs on one resource. Every method throws `StatusError` (see `status-error.ts`) for what a client did wrong. */
export interface ResourceOperations {
  readonly definition: ResourceDefinition;
  get(key: ObjectKey, options?: { resourceVersion?: string }): Promise<StoredObject>;
  list(options: ListOptions): Promise<ObjectList>;
  /** Resolves when the watch is established; refusals reject. */
  watch(options: WatchOptions, sink: WatchSink): Promise<WatchHandle>;
  create(namespace: string | undefined, object: unknown, options: WriteOptions): Promise<StoredObject>;
  update(key: ObjectKey, object: unknown, options: WriteOptions, subresource?: Subresource): Promise<WriteResult>;
  patch(key: ObjectKey, patch: Patch, options: WriteOptions, subresource?: Subresource): Promise<WriteResult>;
  delete(key: ObjectKey, options: DeleteOptions): Promise<DeleteResult>;
  deleteCollection(selection: ListOptions, options: DeleteOptions): Promise<ObjectList>;
}

/** The name of one, as in {@link ResourceDefinition.subresources}. */
export type Subresource = string;

export interface Patch {
  type: PatchType;
  /** Decoded body: an array of operations for `json`, an object for the others. */
  body: unknown;
  /** For `apply`. */
  force?: boolean;
}

/** Every resource that is served now; changes when CRDs do. */
export interface ResourceCatalogue {
  find(group: string, version: string, resource: string): ResourceOperations | undefined;
  /** All of them, groups and versions in the order that discovery lists them. */
  all(): readonly ResourceOperations[];
  /** Grows with every change of `all()`; discovery and OpenAPI are cached by it. */
  readonly generation: number;
}
