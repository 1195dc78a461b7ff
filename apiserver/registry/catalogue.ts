/** Everything that the API server serves: the built-in types, and what CustomResourceDefinitions add while it runs. */
import { randomInt, randomUUID } from 'node:crypto';
import type { Logger } from '../../runtime/logger.ts';
import { apiVersionOf } from '../../api/resource-type.ts';
import { compileSchema } from '../admission/compile-schema.ts';
import { AdmissionChain, admissionRules } from '../admission/chain.ts';
import { PolicyIndex } from '../admission/policy/policy-index.ts';
import type { StructuralSchema } from '../admission/structural-schema.ts';
import type { Store } from '../store/store.ts';
import { admissionPoliciesType, admissionPolicyBindingsType, resourceQuotasType } from './admission-types.ts';
import { builtinTypes, definitionsType, namespacesType, type BuiltinType } from './builtin-types.ts';
import { CacheFeed } from './cache-feed.ts';
import { CustomResources } from './custom-resources.ts';
import { storageVersionHash, customVerbs } from './custom-resource.ts';
import { DefinitionController, ownWrite } from './definition-controller.ts';
import { NamespaceGate } from './namespace-gate.ts';
import { initialNamespaces } from './namespace-strategy.ts';
import type { ResourceCatalogue, ResourceDefinition, ResourceOperations } from './resource.ts';
import { ResourceStore } from './resource-store.ts';
import type { ResourceContext } from './resource-context.ts';
import type { StoredResource } from './resource-strategy.ts';
import { StatusError } from './status-error.ts';
import { VersionView } from './version-view.ts';
import type { WatchCache, WatchCacheLimits } from './watch-cache.ts';

export interface CatalogueOptions {
  store: Store;
  logger: Logger;
  /** Milliseconds since the epoch. */
  nowMs: () => number;
  checkWrite?: ResourceContext['checkWrite'];
  /** How often watches that take bookmarks get one. Default one minute. */
  bookmarkIntervalMs?: number;
  /** What is kept of each resource's past, for watches that resume. */
  cacheLimits?: Partial<WatchCacheLimits>;
}

export interface Catalogue extends ResourceCatalogue {
  /** Resolves when everything that is stored can be served. Keeps trying while the store cannot be reached. */
  start(): Promise<void>;
  /** Settles with the first `start`. */
  readonly ready: Promise<void>;
  /** What is known of the built-in type whose keys begin with `prefix`, followed from the store. */
  cacheOf(prefix: string): WatchCache;
  /** Resolves when what was written before is in the caches, within a bounded time. */
  catchUp(): Promise<void>;
  /** Serves resources that are not stored, besides the others. */
  serve(operations: readonly ResourceOperations[]): void;
  /** Ends every watch and stops following the store, which stays open. */
  close(): Promise<void>;
}

/** Makes the catalogue with the built-in types; nothing is read from the store before `start`. */
export function createCatalogue(options: CatalogueOptions): Promise<Catalogue> {
  return Promise.resolve(new LiveCatalogue(options));
}

const defaultLimits: WatchCacheLimits = { maxEvents: 4096, maxBytes: 32 * 1024 * 1024 };
const defaultBookmarkIntervalMs = 60_000;
const longestCatchUpMs = 10_000;
/** Between attempts to make the initial namespaces. */
const retryMs = 200;
/** No vowels and no digits that look like letters: no words come out (apimachinery `util/rand`). */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

type SharedContext = Omit<ResourceContext, 'definition' | 'stored' | 'view'>;

class LiveCatalogue implements Catalogue {
  readonly ready: Promise<void>;
  readonly #options: CatalogueOptions;
  readonly #feed: CacheFeed;
  readonly #shared: SharedContext;
  readonly #bookmarks = new Set<(revision: number) => void>();
  #builtins: readonly ResourceOperations[];
  readonly #customs: CustomResources;
  readonly #controller: DefinitionController;
  #markReady: () => void = () => undefined;
  #all: readonly ResourceOperations[] = [];
  #byName = new Map<string, ResourceOperations>();
  #generation = 1;
  #bookmarkTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CatalogueOptions) {
    const { store, logger, nowMs } = options;
    this.#options = options;
    this.ready = new Promise((resolve) => {
      this.#markReady = resolve;
    });
    this.#feed = new CacheFeed({ store, logger, limits: { ...defaultLimits, ...options.cacheLimits } });
    this.#shared = {
      store,
      feed: this.#feed,
      admission: this.#makeAdmission(),
      nowMs,
      ...(options.checkWrite === undefined ? {} : { checkWrite: options.checkWrite }),
      newUid: randomUUID,
      newSuffix: randomSuffix,
    };
    this.#builtins = makeBuiltins((context) => this.#makeStore(context), this.#feed);
    this.#customs = new CustomResources({ logger, feed: this.#feed, makeStore: (context) => this.#makeStore(context) });
    this.#index();
    this.#controller = new DefinitionController({
      store,
      logger,
      nowMs,
      definitions: this.#require(definitionsType),
      definitionCache: this.#feed.cache(definitionsType.prefix),
      operationsOf: (definition) => this.#customs.operationsOf(definition.metadata.name ?? ''),
    });
  }

  get generation(): number {
    return this.#generation;
  }

  find(group: string, version: string, resource: string): ResourceOperations | undefined {
    return this.#byName.get(`${group}/${version}/${resource}`);
  }

  all(): readonly ResourceOperations[] {
    return this.#all;
  }

  async start(): Promise<void> {
    await this.#feed.start();
    const cache = this.#feed.cache(definitionsType.prefix);
    for (const { object } of cache.list(cache.prefix)) this.#onDefinition(object.metadata.name ?? '');
    cache.follow({
      onChange: ({ key }) => {
        this.#onDefinition(key.slice(cache.prefix.length));
      },
      onEnd: () => undefined,
    });
    await this.#makeInitialNamespaces();
    const interval = this.#options.bookmarkIntervalMs ?? defaultBookmarkIntervalMs;
    this.#bookmarkTimer = setInterval(() => {
      for (const receive of this.#bookmarks) receive(this.#feed.appliedRevision);
    }, interval);
    this.#bookmarkTimer.unref();
    this.#markReady();
  }

  cacheOf(prefix: string): WatchCache {
    return this.#feed.cache(prefix);
  }

  async catchUp(): Promise<void> {
    await this.#feed.waitFor(await this.#shared.store.currentRevision(), longestCatchUpMs);
  }

  serve(operations: readonly ResourceOperations[]): void {
    this.#builtins = [...this.#builtins, ...operations];
    this.#generation += 1;
    this.#index();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#bookmarkTimer);
    await this.#controller.close();
    await this.#feed.close();
  }

  #makeAdmission(): AdmissionChain {
    const cacheOf = ({ prefix }: BuiltinType): WatchCache => this.#feed.cache(prefix);
    const rules = admissionRules({
      namespaces: new NamespaceGate(cacheOf(namespacesType), this.#options.store),
      policies: new PolicyIndex(cacheOf(admissionPoliciesType), cacheOf(admissionPolicyBindingsType)),
      served: () => this.#all,
      quotaCache: cacheOf(resourceQuotasType),
      quotas: () => this.#require(resourceQuotasType),
    });
    return new AdmissionChain(rules);
  }

  #makeStore(context: Pick<ResourceContext, 'definition' | 'stored' | 'view'>): ResourceOperations {
    return new ResourceStore({ ...this.#shared, ...context }, this.#bookmarks);
  }

  #onDefinition(name: string): void {
    const entry = this.#feed.cache(definitionsType.prefix).get(`${definitionsType.prefix}${name}`);
    if (this.#customs.apply(name, entry)) {
      this.#generation += 1;
      this.#index();
    }
    this.#controller.enqueue(name);
  }

  #index(): void {
    this.#all = [...this.#builtins, ...this.#customs.all()];
    this.#byName = new Map();
    for (const operations of this.#all) {
      const { group, version, resource } = operations.definition;
      const key = `${group}/${version}/${resource}`;
      // A definition cannot take a built-in type's place.
      if (!this.#byName.has(key)) this.#byName.set(key, operations);
    }
  }

  #require({ group, version, resource }: BuiltinType): ResourceOperations {
    const operations = this.find(group, version, resource);
    if (operations === undefined) throw new TypeError(`no ${resource} among the built-in types`);
    return operations;
  }

  async #makeInitialNamespaces(): Promise<void> {
    const namespaces = this.#require(namespacesType);
    const cache = this.#feed.cache(namespacesType.prefix);
    for (const name of initialNamespaces) {
      while (!this.#closed && cache.get(`${namespacesType.prefix}${name}`) === undefined) {
        try {
          await namespaces.create(undefined, { metadata: { name } }, ownWrite());
          break;
        } catch (error) {
          if (error instanceof StatusError && error.status.reason === 'AlreadyExists') break;
          this.#options.logger.warn('A namespace could not be made; trying again', { name, error });
          await new Promise((resolve) => setTimeout(resolve, retryMs));
        }
      }
    }
  }
}

function makeBuiltins(
  makeStore: (context: Pick<ResourceContext, 'definition' | 'stored' | 'view'>) => ResourceOperations,
  feed: CacheFeed,
): ResourceOperations[] {
  const storedByPrefix = new Map<string, StoredResource>();
  return builtinTypes.map((type) => {
    const schema = compileSchema(type.schema);
    const { group, resource, kind, namespaced, prefix, strategy } = type;
    const stored = storedByPrefix.get(prefix) ?? {
      group,
      resource,
      kind,
      namespaced,
      prefix,
      strategy,
      storageApiVersion: apiVersionOf(type),
      storageSchema: schema,
      cache: feed.cache(prefix),
      terminating: false,
    };
    storedByPrefix.set(prefix, stored);
    const view = new VersionView(apiVersionOf(type), stored.storageSchema, type.conversion);
    return makeStore({ definition: builtinDefinition(type, schema), stored, view });
  });
}

function builtinDefinition(type: BuiltinType, schema: StructuralSchema): ResourceDefinition {
  const { group, version, resource, kind, namespaced, shortNames = [], categories = [], columns, fields = new Map() } = type;
  return {
    group,
    version,
    resource,
    singular: kind.toLowerCase(),
    kind,
    listKind: `${kind}List`,
    namespaced,
    shortNames,
    categories,
    verbs: resource === 'namespaces' ? customVerbs.filter((verb) => verb !== 'deletecollection') : customVerbs,
    schema,
    subresources: type.subresources ?? [],
    selectableFields: fields,
    printerColumns: columns,
    patchTypes: ['json', 'merge', 'strategic'],
    custom: false,
    storageVersionHash: storageVersionHash(group, version, kind),
  };
}

function randomSuffix(): string {
  return Array.from({ length: 5 }, () => suffixAlphabet[randomInt(suffixAlphabet.length)]).join('');
}
