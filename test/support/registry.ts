/** The registry over a real etcd, without HTTP, and a custom resource to try it with. */
import assert from 'node:assert/strict';
import { createCatalogue, type Catalogue, type CatalogueOptions } from '../../apiserver/registry/catalogue.ts';
import type {
  DeleteOptions,
  ResourceOperations,
  StoredObject,
  WatchEvent,
  WatchHandle,
  WatchOptions,
} from '../../apiserver/registry/resource.ts';
import { StatusError } from '../../apiserver/registry/status-error.ts';
import type { Store } from '../../apiserver/store/store.ts';
import type { KubernetesObject } from '../../api/object.ts';
import type { Status } from '../../api/status.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { eventually } from './eventually.ts';

/** How tests write; deletions take the same. */
export function writeOptions(overrides: Partial<DeleteOptions> = {}): DeleteOptions {
  const user = { name: 'tester', groups: [] };
  return { user, dryRun: false, fieldManager: 'test', fieldValidation: 'Warn', warnings: [], ...overrides };
}

export async function startCatalogue(store: Store, options: Partial<CatalogueOptions> = {}): Promise<Catalogue> {
  const catalogue = await createCatalogue({ store, logger: silentLogger, nowMs: () => Date.now(), ...options });
  await catalogue.start();
  return catalogue;
}

export function operationsOf(catalogue: Catalogue, group: string, version: string, resource: string): ResourceOperations {
  const operations = catalogue.find(group, version, resource);
  assert.ok(operations, `${resource}.${version}.${group} is served`);
  return operations;
}

export function definitionsOf(catalogue: Catalogue): ResourceOperations {
  return operationsOf(catalogue, 'apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
}

/** Creates a definition and waits until its first served version can be used. */
export async function install(catalogue: Catalogue, definition: TestDefinition): Promise<ResourceOperations> {
  await definitionsOf(catalogue).create(undefined, definition, writeOptions());
  const { group, names, versions } = definition.spec;
  const version = versions.find(({ served }) => served)?.name ?? '';
  const find = (): ResourceOperations => operationsOf(catalogue, group, version, names.plural);
  return eventually(find, { timeoutMs: 5_000, intervalMs: 2, what: `${names.plural} to be served` });
}

/** The answer to what is refused. */
export async function refusal(attempt: Promise<unknown>): Promise<Status> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof StatusError) return error.status;
    throw error;
  }
  return assert.fail('it was not refused');
}

/** One watch, with what it delivered so far. */
export class RecordedWatch {
  readonly events: WatchEvent[] = [];
  readonly errors: Error[] = [];
  #handle: WatchHandle | undefined;

  static async open(operations: ResourceOperations, options: Partial<WatchOptions> = {}): Promise<RecordedWatch> {
    const watch = new RecordedWatch();
    watch.#handle = await operations.watch(
      { allowWatchBookmarks: false, ...options },
      { onEvent: (event) => watch.events.push(event), onError: (error) => watch.errors.push(error) },
    );
    return watch;
  }

  /** `ADDED name`, `BOOKMARK`, … */
  get lines(): string[] {
    return this.events.map((event) =>
      event.type === 'BOOKMARK' ? event.type : `${event.type} ${event.stored.object.metadata.name ?? ''}`,
    );
  }

  /** Waits until the watch delivered exactly these. */
  async expect(lines: string[]): Promise<void> {
    await eventually(() => assert.deepEqual(this.lines, lines), { timeoutMs: 5_000, intervalMs: 5, what: `events ${lines.join(', ')}` });
  }

  close(): void {
    this.#handle?.close();
  }
}

/** The object that readers of bytes get; it must be the one that readers of objects get. */
export function contentOf(stored: StoredObject): KubernetesObject {
  const decoded = JSON.parse(Buffer.from(stored.bytes).toString()) as KubernetesObject;
  assert.deepEqual(decoded, stored.object);
  return decoded;
}

export interface TestDefinition {
  spec: {
    group: string;
    names: { plural: string } & Record<string, unknown>;
    versions: ({ name: string; served: boolean; storage: boolean } & Record<string, unknown>)[];
  } & Record<string, unknown>;
  [field: string]: unknown;
}

const specSchema = {
  type: 'object',
  required: ['size'],
  'x-kubernetes-validations': [
    { rule: 'self.replicas <= 5', message: 'replicas must be <= 5', fieldPath: '.replicas', reason: 'FieldValueForbidden' },
    { rule: '!has(oldSelf.zone) || self.zone == oldSelf.zone', message: 'zone is immutable' },
  ],
  properties: {
    size: { type: 'string', enum: ['s', 'm', 'l'], default: 's' },
    replicas: { type: 'integer', minimum: 0, maximum: 10, default: 1 },
    zone: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    nul: { type: 'string', nullable: true },
  },
};

/** `machines.compute.example.com`: the definition with which a real server's answers were recorded, under another name. */
export function machinesDefinition(): TestDefinition {
  const properties = { spec: specSchema, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'machines.compute.example.com' },
    spec: {
      group: 'compute.example.com',
      scope: 'Namespaced',
      names: { plural: 'machines', kind: 'Machine', shortNames: ['mach'], categories: ['all'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          selectableFields: [{ jsonPath: '.spec.size' }],
          schema: { openAPIV3Schema: { type: 'object', required: ['spec'], properties } },
        },
      ],
    },
  };
}

/** An object of {@link machinesDefinition}. */
export function machine(name: string, spec: object = {}, metadata: object = {}): Record<string, unknown> {
  return { apiVersion: 'compute.example.com/v1', kind: 'Machine', metadata: { name, ...metadata }, spec };
}
