/**
 * Resources that store nothing: each object is made from one of another resource, when it is read. Where they can be watched, their objects have
 * the uid and the resource version of their source, and so have lists and bookmarks.
 */
import type { KubernetesObject, ObjectKey } from '../../../api/object.ts';
import { compileSchema } from '../../admission/compile-schema.ts';
import type { JsonObject } from '../../admission/json-value.ts';
import { nameColumn } from '../builtin-columns.ts';
import { unwritten } from '../resource-context.ts';
import type {
  ListOptions,
  ObjectList,
  ResourceCatalogue,
  ResourceDefinition,
  ResourceOperations,
  Selection,
  StoredObject,
  WatchHandle,
  WatchOptions,
  WatchSink,
} from '../resource.ts';
import { parseSelection, type ParsedSelection } from '../selection.ts';
import { notFound, StatusError } from '../status-error.ts';
import type { MirrorColumn, MirrorConfig } from './mirror-config.ts';
import { MirrorSink } from './mirror-sink.ts';
import { fill, fillFields, schemaOf } from './template.ts';

/** From the cache: what cannot be watched is read often, and nothing is decided by it. */
const anyRevision = { resourceVersion: '0' } as const;

export function createMirror(config: MirrorConfig, catalogue: Pick<ResourceCatalogue, 'find'>): ResourceOperations {
  return new MirroredResource(config, catalogue);
}

class MirroredResource implements ResourceOperations {
  readonly definition: ResourceDefinition;
  readonly #config: MirrorConfig;
  readonly #catalogue: Pick<ResourceCatalogue, 'find'>;
  /** Made once for each state of a source; undefined for one that lacks what the template needs. */
  readonly #made = new WeakMap<KubernetesObject, { mirrored: StoredObject | undefined }>();

  constructor(config: MirrorConfig, catalogue: Pick<ResourceCatalogue, 'find'>) {
    this.#config = config;
    this.#catalogue = catalogue;
    this.definition = definitionOf(config);
  }

  async get(key: ObjectKey, options: { resourceVersion?: string } = {}): Promise<StoredObject> {
    const source = this.#source();
    const found = source === undefined ? undefined : await orMissing(source.get(key, this.#config.watch ? options : anyRevision));
    const mirrored = found === undefined ? undefined : this.#mirror(found);
    if (mirrored === undefined) throw notFound(this.definition, key.name);
    return mirrored;
  }

  async list(options: ListOptions): Promise<ObjectList> {
    const { matches } = this.#select(options);
    const source = this.#source();
    if (source === undefined) return { items: [], resourceVersion: '0' };
    const { namespace } = options;
    const asked = this.#config.watch ? withoutSelectors(options) : { ...anyRevision, ...(namespace === undefined ? {} : { namespace }) };
    const { remainingItemCount, ...list } = await source.list(asked);
    const made = list.items.flatMap((stored) => this.#mirror(stored) ?? []);
    const items = matches === undefined ? made : made.filter(({ object }) => matches(object));
    // What is left out is not known of the pages that follow.
    const isWhole = matches === undefined && this.#config.missing === 'Omit' && remainingItemCount !== undefined;
    return { ...list, items, ...(isWhole ? { remainingItemCount } : {}) };
  }

  watch(options: WatchOptions, sink: WatchSink): Promise<WatchHandle> {
    if (!this.#config.watch) return refuse();
    const { matches } = this.#select(options);
    const source = this.#source();
    if (source === undefined) return Promise.reject(notFound(this.definition, ''));
    const show = (stored: StoredObject): StoredObject | undefined => {
      const mirrored = this.#mirror(stored);
      return mirrored === undefined || matches?.(mirrored.object) === false ? undefined : mirrored;
    };
    const made = (stored: StoredObject): StoredObject | undefined => this.#mirror(stored);
    return source.watch({ ...withoutSelectors(options), withPrevious: true }, new MirrorSink(sink, show, made));
  }

  create = refuse;
  update = refuse;
  patch = refuse;
  delete = refuse;
  deleteCollection = refuse;

  #select({ labelSelector, fieldSelector }: ListOptions): ParsedSelection {
    return parseSelection(this.definition, '', {
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    });
  }

  /** Undefined while its definition is not there. */
  #source(): ResourceOperations | undefined {
    const { group, version, resource } = this.#config.source;
    return this.#catalogue.find(group, version, resource);
  }

  #mirror({ object, revision }: StoredObject): StoredObject | undefined {
    const known = this.#made.get(object);
    if (known !== undefined) return known.mirrored;
    const mirrored = mirroredObject(this.#config, object);
    const made = { mirrored: mirrored === undefined ? undefined : unwritten(mirrored, revision) };
    this.#made.set(object, made);
    return made.mirrored;
  }
}

/** They are about the mirrored objects, and looked at here. */
function withoutSelectors<T extends Selection>(options: T): T {
  const rest = { ...options };
  delete rest.labelSelector;
  delete rest.fieldSelector;
  return rest;
}

/** Undefined when the source lacks something without which the object is not shown. */
export function mirroredObject(config: MirrorConfig, source: KubernetesObject): JsonObject | undefined {
  const filled = fillFields(config.template, source, config.missing);
  if (filled === undefined) return undefined;
  const { group, version, kind } = config;
  return { kind, apiVersion: group === '' ? version : `${group}/${version}`, metadata: metadataOf(config, source), ...filled };
}

function metadataOf({ namespaced, watch }: MirrorConfig, { metadata }: KubernetesObject): JsonObject {
  const { name, namespace, labels, creationTimestamp, uid, resourceVersion, deletionTimestamp } = metadata;
  return defined({
    name,
    ...(namespaced ? { namespace } : {}),
    ...(watch ? { uid, resourceVersion } : {}),
    creationTimestamp,
    // As a pod has them that is being deleted.
    ...(watch && deletionTimestamp !== undefined ? { deletionTimestamp, deletionGracePeriodSeconds: 0 } : {}),
    labels,
  });
}

function defined(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function definitionOf(config: MirrorConfig): ResourceDefinition {
  const { group, version, resource, singular, kind, namespaced, shortNames, categories, source, template, columns } = config;
  const from = `${source.resource}.${source.group}`;
  return {
    group,
    version,
    resource,
    singular,
    kind,
    listKind: `${kind}List`,
    namespaced,
    shortNames,
    categories,
    verbs: config.watch ? ['get', 'list', 'watch'] : ['get', 'list'],
    schema: compileSchema({
      description: `Made from ${from} when it is read.`,
      type: 'object',
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { type: 'object' },
        ...Object.fromEntries(template.map(([name, each]) => [name, schemaOf(each)])),
      },
    }),
    subresources: config.subresources.map(({ name, kind: of, verbs, backend }) => ({
      name,
      verbs,
      backend,
      type: { group, version, kind: of },
    })),
    selectableFields: config.selectableFields,
    printerColumns: [nameColumn, ...columns.map(columnOf)],
    patchTypes: [],
    custom: false,
    storageVersionHash: '',
  };
}

function columnOf({ name, type, description, priority, value }: MirrorColumn): ResourceDefinition['printerColumns'][number] {
  const column = { name, type, format: '', description, priority };
  return { ...column, value: typeof value === 'string' ? value : (object) => fill(value, object, 'Omit') };
}

async function orMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return undefined;
    throw error;
  }
}

function refuse(): Promise<never> {
  const message = 'the server does not allow this method on the requested resource';
  return Promise.reject(new StatusError({ message, reason: 'MethodNotAllowed', details: {}, code: 405 }));
}
