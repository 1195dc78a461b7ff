/** Puts the roles and bindings of `manifests/bootstrap-rbac.yaml` into the store at the server's start. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { ObjectKey } from '../../../api/object.ts';
import { ownWrite } from '../../registry/definition-controller.ts';
import type { ResourceCatalogue, ResourceOperations } from '../../registry/resource.ts';
import { StatusError } from '../../registry/status-error.ts';
import { rbacGroup, type BindingObject, type RoleObject } from './policy.ts';
import { autoUpdateAnnotation, reconcileBinding, reconcileRole, type Outcome } from './reconcile-policy.ts';

export const bootstrapFile = join(import.meta.dirname, '../../../manifests/bootstrap-rbac.yaml');

export type BootstrapObject = RoleObject | BindingObject;

const resources: Readonly<Record<string, string>> = {
  Role: 'roles',
  ClusterRole: 'clusterroles',
  RoleBinding: 'rolebindings',
  ClusterRoleBinding: 'clusterrolebindings',
};
const bootstrapLabel = 'kubernetes.io/bootstrapping';
/** On an object of the file: earlier versions made it, and it is to be there no more. */
const retiredAnnotation = 'potluck.dev/retired';
/** Several servers may start at once. */
const mostAttempts = 5;

/** The objects of the file that are to be there, marked as Kubernetes marks its own. */
export async function readBootstrapPolicy(file = bootstrapFile): Promise<BootstrapObject[]> {
  const objects = (await readObjects(file)).filter((object) => !isRetired(object));
  for (const { metadata } of objects) {
    metadata.labels = { ...metadata.labels, [bootstrapLabel]: 'rbac-defaults' };
    metadata.annotations = { ...metadata.annotations, [autoUpdateAnnotation]: 'true' };
  }
  return objects;
}

/** The objects of the file that are to be there no more. */
export async function readRetiredPolicy(file = bootstrapFile): Promise<BootstrapObject[]> {
  return (await readObjects(file)).filter(isRetired);
}

async function readObjects(file: string): Promise<BootstrapObject[]> {
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  return documents.map((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw new SyntaxError(`${file}: ${problem.message}`);
    return document.toJS() as BootstrapObject;
  });
}

function isRetired({ metadata }: BootstrapObject): boolean {
  return metadata.annotations?.[retiredAnnotation] === 'true';
}

/** Makes what is missing and completes what is there. */
export async function applyBootstrapPolicy(catalogue: ResourceCatalogue, objects: readonly BootstrapObject[]): Promise<void> {
  for (const object of objects) await applyOne(operationsOf(catalogue, object), object);
}

/** Removes what is there no more, but not what somebody took over. */
export async function removeRetiredPolicy(catalogue: ResourceCatalogue, objects: readonly BootstrapObject[]): Promise<void> {
  for (const object of objects) {
    const operations = operationsOf(catalogue, object);
    const stored = await find(operations, keyOf(object));
    if (stored === undefined || stored.metadata.annotations?.[autoUpdateAnnotation] === 'false') continue;
    await operations.delete(keyOf(object), ownWrite()).catch((error: unknown) => {
      // Several servers may start at once.
      if (!(error instanceof StatusError && error.code === 404)) throw error;
    });
  }
}

function operationsOf(catalogue: ResourceCatalogue, { kind }: BootstrapObject): ResourceOperations {
  const operations = catalogue.find(rbacGroup, 'v1', resources[kind] ?? '');
  if (operations === undefined) throw new TypeError(`${kind} is no kind of ${rbacGroup}`);
  return operations;
}

function keyOf({ metadata: { name = '', namespace } }: BootstrapObject): ObjectKey {
  return namespace === undefined ? { name } : { namespace, name };
}

async function applyOne(operations: ResourceOperations, wanted: BootstrapObject): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createOrComplete(operations, wanted);
      return;
    } catch (error) {
      const raced = error instanceof StatusError && (error.code === 409 || error.code === 404);
      if (!raced || attempt === mostAttempts) throw error;
    }
  }
}

async function createOrComplete(operations: ResourceOperations, wanted: BootstrapObject): Promise<void> {
  const { namespace } = wanted.metadata;
  const key = keyOf(wanted);
  const stored = await find(operations, key);
  if (stored === undefined) {
    await operations.create(namespace, wanted, ownWrite());
    return;
  }
  const outcome: Outcome<BootstrapObject> =
    'roleRef' in wanted ? reconcileBinding(wanted, stored as BindingObject) : reconcileRole(wanted, stored);
  if (outcome.action === 'update') await operations.update(key, outcome.object, ownWrite());
  if (outcome.action === 'replace') {
    await operations.delete(key, ownWrite());
    await operations.create(namespace, outcome.object, ownWrite());
  }
}

async function find(operations: ResourceOperations, key: ObjectKey): Promise<BootstrapObject | undefined> {
  try {
    return (await operations.get(key)).object;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return undefined;
    throw error;
  }
}
