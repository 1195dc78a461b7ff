/** What differs between resources in what a write means; the rest is the same for all and stands in the `*-object.ts` files. */
import type { NameRule } from '../admission/object-meta.ts';
import type { StructuralSchema } from '../admission/structural-schema.ts';
import type { JsonObject } from '../admission/json-value.ts';
import type { Subresource, UserInfo } from './resource.ts';
import type { FieldError } from './status-error.ts';
import type { WatchCache } from './watch-cache.ts';

export interface UpdateInfo {
  subresource: Subresource | undefined;
  /** Milliseconds since the epoch. */
  nowMs: number;
}

export interface ResourceStrategy {
  /** `metadata.generation` counts the changes of the desired state. */
  countsGenerations: boolean;
  /** A PUT without resourceVersion replaces whatever is there. */
  unconditionalUpdate: boolean;
  /** A PUT to a name that is absent creates it. */
  createOnUpdate: boolean;
  /** A deletion that waits counts as a change and carries a grace period of 0 (custom resources). */
  marksGracePeriod: boolean;
  /** Of names: most allow dots, namespaces' become parts of host names. */
  nameRule: NameRule;
  /** Seconds after which a write's object vanishes by itself. */
  timeToLiveSeconds?: number;
  /** Names that cannot be deleted. */
  protectedNames?: ReadonlySet<string>;
  /** Each changes `object`, which is in the request's version, in place. `decode` may throw 400. */
  decode?(object: JsonObject): void;
  prepareForCreate?(object: JsonObject, user: UserInfo): void;
  prepareForUpdate?(object: JsonObject, old: JsonObject, how: UpdateInfo): void;
  prepareForDelete?(object: JsonObject, nowMs: number): void;
  /** Beyond the schema; `old` is absent for a creation. */
  validate?(object: JsonObject, old: JsonObject | undefined, subresource: Subresource | undefined): FieldError[];
  /** The object stays although it has no finalizers in its metadata (namespaces). */
  holdsDeletion?(object: JsonObject): boolean;
}

/** What the versions of one resource share. */
export interface StoredResource {
  group: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  /** Of keys in the store, with a slash at its end. */
  prefix: string;
  /** apiVersion of objects in the store. */
  storageApiVersion: string;
  /** Its defaults fill what older objects lack when they are read. */
  storageSchema: StructuralSchema;
  strategy: ResourceStrategy;
  cache: WatchCache;
  /** Set while the definition is being deleted: nothing can be created. */
  terminating: boolean;
}
