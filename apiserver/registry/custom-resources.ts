/** The resources that CustomResourceDefinitions make: one set of operations for each served version of each established definition. */
import { quotaAmountsAnnotation } from '../../api/quota-usage.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { StructuralSchema } from '../admission/structural-schema.ts';
import type { CacheFeed } from './cache-feed.ts';
import { compileVersions, customDefinition, customResourceStrategy, storageVersion } from './custom-resource.ts';
import { isEstablished, type CustomResourceDefinition } from './definition.ts';
import { equalJson } from '../admission/json-value.ts';
import type { ResourceOperations } from './resource.ts';
import type { ResourceContext } from './resource-context.ts';
import type { StoredResource } from './resource-strategy.ts';
import { StatusError } from './status-error.ts';
import { resourcePrefix } from './storage-keys.ts';
import type { StoredEntry } from './stored-entry.ts';
import { compareVersions } from './version-order.ts';
import { renamingConversion, VersionView } from './version-view.ts';

export interface CustomResourcesOptions {
  logger: Logger;
  feed: CacheFeed;
  makeStore(context: Pick<ResourceContext, 'definition' | 'stored' | 'view'>): ResourceOperations;
}

interface Served {
  definition: CustomResourceDefinition;
  stored: StoredResource;
  /** In the order of discovery. */
  operations: ResourceOperations[];
}

export class CustomResources {
  readonly #options: CustomResourcesOptions;
  readonly #served = new Map<string, Served>();

  constructor(options: CustomResourcesOptions) {
    this.#options = options;
  }

  /** Groups by name; versions by stability and age. */
  all(): ResourceOperations[] {
    return [...this.#served.values()]
      .flatMap(({ operations }) => operations)
      .sort(
        ({ definition: a }, { definition: b }) =>
          compareText(a.group, b.group) || compareVersions(a.version, b.version) || compareText(a.resource, b.resource),
      );
  }

  operationsOf(name: string): ResourceOperations | undefined {
    return this.#served.get(name)?.operations[0];
  }

  /** Takes the present state of the definition called `name`, if it has one. Answers whether what is served changed. */
  apply(name: string, entry: StoredEntry | undefined): boolean {
    const known = this.#served.get(name);
    try {
      return this.#replace(name, known, entry?.object as CustomResourceDefinition | undefined);
    } catch (error) {
      // It was checked when it was written, perhaps by another version of this program.
      this.#options.logger.error('A custom resource definition cannot be served', { name, error });
      return this.#drop(name, known);
    }
  }

  #replace(name: string, known: Served | undefined, definition: CustomResourceDefinition | undefined): boolean {
    if (definition === undefined || !isEstablished(definition)) return this.#drop(name, known);
    if (known !== undefined && known.definition.metadata.uid === definition.metadata.uid && sameService(known.definition, definition)) {
      known.stored.terminating = isTerminating(definition);
      return false;
    }
    const served = this.#serve(definition);
    if (known?.definition.metadata.uid !== definition.metadata.uid) this.#drop(name, known);
    this.#served.set(name, served);
    return true;
  }

  #drop(name: string, known: Served | undefined): boolean {
    if (known === undefined) return false;
    this.#served.delete(name);
    known.stored.cache.endWatches(new StatusError({ message: `the resource ${name} is no longer served`, reason: 'Expired', code: 410 }));
    return true;
  }

  #serve(definition: CustomResourceDefinition): Served {
    const { group, versions, names, scope } = definition.spec;
    const schemas = compileVersions(definition);
    const storageName = storageVersion(definition);
    const prefix = resourcePrefix(group, names.plural);
    const stored: StoredResource = {
      group,
      resource: names.plural,
      kind: names.kind,
      namespaced: scope === 'Namespaced',
      prefix,
      strategy: customResourceStrategy,
      storageApiVersion: `${group}/${storageName}`,
      storageSchema: schemaOf(schemas, storageName),
      cache: this.#options.feed.cache(prefix),
      terminating: isTerminating(definition),
    };
    const served = versions.filter((version) => version.served).sort((a, b) => compareVersions(a.name, b.name));
    const operations = served.map((version) => {
      const schema = schemaOf(schemas, version.name);
      const apiVersion = `${group}/${version.name}`;
      const view = new VersionView(apiVersion, stored.storageSchema, renamingConversion(apiVersion, stored.storageApiVersion));
      return this.#options.makeStore({ definition: customDefinition(definition, version, schema), stored, view });
    });
    return { definition, stored, operations };
  }
}

function schemaOf(schemas: ReadonlyMap<string, StructuralSchema>, version: string): StructuralSchema {
  const schema = schemas.get(version);
  if (schema === undefined) throw new TypeError(`there is no version ${JSON.stringify(version)}`);
  return schema;
}

function isTerminating(definition: CustomResourceDefinition): boolean {
  return definition.metadata.deletionTimestamp !== undefined;
}

/** Whether two states of a definition serve the same. */
function sameService(a: CustomResourceDefinition, b: CustomResourceDefinition): boolean {
  const amountsOf = ({ metadata }: CustomResourceDefinition): string | undefined => metadata.annotations?.[quotaAmountsAnnotation];
  return equalJson(a.spec, b.spec) && equalJson(a.status?.acceptedNames, b.status?.acceptedNames) && amountsOf(a) === amountsOf(b);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
