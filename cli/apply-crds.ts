import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Condition, KubernetesObject } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import { isAlreadyExists, isConflict, isNotFound, type Client } from '../client/client.ts';
import { untilTrue } from './until-true.ts';

export interface CustomResourceDefinition extends KubernetesObject {
  spec: Record<string, unknown>;
  status?: { conditions?: Condition[] };
}

export const customResourceDefinitions: ResourceType<CustomResourceDefinition> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/** Says which text of the file the object in the API was made from; the API fills in defaults, so the objects themselves cannot be compared. */
const hashAnnotation = 'potluck.dev/definition-hash';
const establishedTimeoutMs = 30_000;
/** Several servers may do this at once. */
const mostAttempts = 5;

/** Puts the definitions in `directory` into the API, those that changed anew, and waits until every one is established. */
export async function applyCrds(client: Client, directory: string, signal: AbortSignal): Promise<void> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort();
  const definitions = await Promise.all(files.map((file) => readDefinition(join(directory, file))));
  for (const definition of definitions) await applyDefinition(client, definition, signal);
  await untilTrue(
    async () => (await Promise.all(definitions.map((definition) => isEstablished(client, definition, signal)))).every(Boolean),
    {
      what: `the definitions in ${directory} to be established`,
      timeoutMs: establishedTimeoutMs,
      intervalMs: 50,
      signal,
    },
  );
}

async function readDefinition(path: string): Promise<CustomResourceDefinition> {
  const text = await readFile(path, 'utf8');
  const definition = parse(text) as CustomResourceDefinition;
  const hash = createHash('sha256').update(text).digest('hex');
  definition.metadata.annotations = { ...definition.metadata.annotations, [hashAnnotation]: hash };
  return definition;
}

async function applyDefinition(client: Client, definition: CustomResourceDefinition, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createOrReplace(client, definition, signal);
      return;
    } catch (error) {
      if (!(isConflict(error) || isAlreadyExists(error)) || attempt === mostAttempts) throw error;
    }
  }
}

async function createOrReplace(client: Client, definition: CustomResourceDefinition, signal: AbortSignal): Promise<void> {
  const current = await find(client, definition, signal);
  if (current === undefined) {
    await client.create(customResourceDefinitions, definition, { signal });
    return;
  }
  const { annotations } = current.metadata;
  const wanted = definition.metadata.annotations;
  if (annotations?.[hashAnnotation] === wanted?.[hashAnnotation]) return;
  const metadata = { ...current.metadata, annotations: { ...annotations, ...wanted } };
  await client.replace(customResourceDefinitions, { ...current, metadata, spec: definition.spec }, { signal });
}

async function isEstablished(client: Client, definition: CustomResourceDefinition, signal: AbortSignal): Promise<boolean> {
  const current = await find(client, definition, signal);
  return current?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') ?? false;
}

async function find(
  client: Client,
  { metadata }: CustomResourceDefinition,
  signal: AbortSignal,
): Promise<CustomResourceDefinition | undefined> {
  try {
    return await client.get(customResourceDefinitions, { name: metadata.name ?? '' }, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
