import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Condition, KubernetesObject } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';
import { applyObject, findObject, markedWithSource } from './apply-object.ts';
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

const establishedTimeoutMs = 30_000;

/** Puts the definitions in `directory` into the API, those that changed anew, and waits until every one is established. */
export async function applyCrds(client: Client, directory: string, signal: AbortSignal): Promise<void> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort();
  const definitions = await Promise.all(files.map((file) => readDefinition(join(directory, file))));
  for (const definition of definitions) await applyObject(client, customResourceDefinitions, definition, signal);
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
  return markedWithSource(parse(text) as CustomResourceDefinition, text);
}

async function isEstablished(client: Client, definition: CustomResourceDefinition, signal: AbortSignal): Promise<boolean> {
  const current = await findObject(client, customResourceDefinitions, definition, signal);
  return current?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') ?? false;
}
