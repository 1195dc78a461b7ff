/** Resources that store nothing: each object is made from one of another resource, when it is read. They can be read, not watched. */
import type { KubernetesObject, ObjectKey } from '../../../api/object.ts';
import { compileSchema } from '../../admission/compile-schema.ts';
import type { JsonObject } from '../../admission/json-value.ts';
import type { JsonSchema } from '../../admission/structural-schema.ts';
import { nameColumn } from '../builtin-columns.ts';
import { unwritten } from '../resource-context.ts';
import type { ListOptions, ObjectList, ResourceCatalogue, ResourceDefinition, ResourceOperations, StoredObject } from '../resource.ts';
import { parseSelection } from '../selection.ts';
import { notFound, StatusError } from '../status-error.ts';
import type { MirrorConfig, Template } from './mirror-config.ts';

/** From the cache: what is mirrored is read often, and nothing is decided by it. */
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

  async get(key: ObjectKey): Promise<StoredObject> {
    const source = this.#source();
    const found = source === undefined ? undefined : await orMissing(source.get(key, anyRevision));
    const mirrored = found === undefined ? undefined : this.#mirror(found);
    if (mirrored === undefined) throw notFound(this.definition, key.name);
    return mirrored;
  }

  async list({ namespace, labelSelector, fieldSelector }: ListOptions): Promise<ObjectList> {
    const selectors = {
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
    const { matches } = parseSelection(this.definition, '', selectors);
    const source = this.#source();
    if (source === undefined) return { items: [], resourceVersion: '0' };
    const list = await source.list({ ...anyRevision, ...(namespace === undefined ? {} : { namespace }) });
    const items = list.items.flatMap((stored) => this.#mirror(stored) ?? []);
    return { items: matches === undefined ? items : items.filter(({ object }) => matches(object)), resourceVersion: list.resourceVersion };
  }

  watch = refuse;
  create = refuse;
  update = refuse;
  patch = refuse;
  delete = refuse;
  deleteCollection = refuse;

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

/** Undefined when the source lacks anything that the template names. */
export function mirroredObject(config: MirrorConfig, source: KubernetesObject): JsonObject | undefined {
  const { name, namespace, labels, creationTimestamp } = source.metadata;
  const filled = fillFields(config.template, source);
  if (filled === undefined) return undefined;
  return {
    kind: config.kind,
    apiVersion: `${config.group}/${config.version}`,
    metadata: {
      name,
      ...(config.namespaced ? { namespace } : {}),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(labels === undefined ? {} : { labels }),
    },
    ...filled,
  };
}

function fill(template: Template, source: KubernetesObject): unknown {
  switch (template.kind) {
    case 'literal':
      return template.value;
    case 'path':
      return template.read(source)[0];
    case 'object':
      return fillFields(template.fields, source);
    case 'list': {
      const items = template.items.map((item) => fill(item, source));
      return items.includes(undefined) ? undefined : items;
    }
  }
}

function fillFields(fields: readonly (readonly [string, Template])[], source: KubernetesObject): JsonObject | undefined {
  const filled = fields.map(([name, template]) => [name, fill(template, source)] as const);
  return filled.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(filled);
}

function definitionOf(config: MirrorConfig): ResourceDefinition {
  const { group, version, resource, singular, kind, namespaced, shortNames, source, template, columns } = config;
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
    categories: [],
    verbs: ['get', 'list'],
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
    subresources: [],
    selectableFields: new Map(),
    printerColumns: [
      nameColumn,
      ...columns.map(({ name, path }) => ({ name, type: 'string', format: '', description: '', priority: 0, value: path })),
    ],
    patchTypes: [],
    custom: false,
    storageVersionHash: '',
  };
}

function schemaOf(template: Template): JsonSchema {
  switch (template.kind) {
    case 'literal':
      return { type: 'string' };
    case 'path':
      return { 'x-kubernetes-preserve-unknown-fields': true };
    case 'object':
      return { type: 'object', properties: Object.fromEntries(template.fields.map(([name, each]) => [name, schemaOf(each)])) };
    case 'list': {
      const [first] = template.items;
      return { type: 'array', items: first === undefined ? { type: 'object' } : schemaOf(first) };
    }
  }
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
