import { createHash } from 'node:crypto';
import type { KubernetesObject } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import { isAlreadyExists, isConflict, isNotFound, type Client } from '../client/client.ts';

/** Says which text the object in the API was made from; the API fills in defaults, so the objects themselves cannot be compared. */
const hashAnnotation = 'potluck.dev/definition-hash';
/** Several servers may do this at once. */
const mostAttempts = 5;

/** The object, marked with the text that it was made from. */
export function markedWithSource<T extends KubernetesObject>(object: T, text: string): T {
  const hash = createHash('sha256').update(text).digest('hex');
  return { ...object, metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [hashAnnotation]: hash } } };
}

/** Puts an object of {@link markedWithSource} into the API, unless it is there from the same text. */
export async function applyObject<T extends KubernetesObject>(
  client: Client,
  type: ResourceType<T>,
  object: T,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createOrReplace(client, type, object, signal);
      return;
    } catch (error) {
      if (!(isConflict(error) || isAlreadyExists(error)) || attempt === mostAttempts) throw error;
    }
  }
}

async function createOrReplace<T extends KubernetesObject>(
  client: Client,
  type: ResourceType<T>,
  object: T,
  signal: AbortSignal,
): Promise<void> {
  const current = await findObject(client, type, object, signal);
  if (current === undefined) {
    await client.create(type, object, { signal });
    return;
  }
  const { annotations } = current.metadata;
  const wanted = object.metadata.annotations;
  if (annotations?.[hashAnnotation] === wanted?.[hashAnnotation]) return;
  const metadata = { ...current.metadata, annotations: { ...annotations, ...wanted } };
  await client.replace(type, { ...current, ...object, metadata }, { signal });
}

export async function findObject<T extends KubernetesObject>(
  client: Client,
  type: ResourceType<T>,
  { metadata }: T,
  signal: AbortSignal,
): Promise<T | undefined> {
  const { name = '', namespace } = metadata;
  try {
    return await client.get(type, { name, ...(namespace === undefined ? {} : { namespace }) }, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
