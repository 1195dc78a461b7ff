/** What PATCH means. */
import type { ObjectKey } from '../../api/object.ts';
import { decodeObject, dropUnknownFields, metadataOf, metaText } from './decode-object.ts';
import { jsonPatch } from './json-patch.ts';
import { cloneJson, isObject, type JsonObject } from '../admission/json-value.ts';
import { mergePatch } from './merge-patch.ts';
import type { ResourceContext } from './resource-context.ts';
import type { Patch, PatchType, ResourceDefinition, Subresource, WriteOptions, WriteResult } from './resource.ts';
import { badRequest, StatusError } from './status-error.ts';
import { strategicMergePatch } from './strategic-merge-patch.ts';
import { changeObject, matchUrl, nextState } from './update-object.ts';

/** A patch is applied anew this often when others write in between. */
const patchAttempts = 6;

const mediaTypes: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

export async function patchObject(
  context: ResourceContext,
  key: ObjectKey,
  patch: Patch,
  options: WriteOptions,
  subresource: Subresource | undefined,
): Promise<WriteResult> {
  const { definition } = context;
  if (!definition.patchTypes.includes(patch.type)) throw unsupportedPatch(definition, patch.type);
  const names = namesRevision(patch);
  const stored = await changeObject(
    context,
    key,
    (current, shown) => {
      const patched = applyPatch(definition, shown, patch);
      if (!isObject(patched)) throw badRequest('error decoding patch: the patched object is no object');
      const object = decodeObject(definition, patched);
      matchUrl(object, key, definition.namespaced);
      dropUnknownFields(definition, object, options, patched);
      context.stored.strategy.decode?.(object);
      // Without a revision of its own the patch is for whatever is there.
      const metadata = metadataOf(object);
      if (metaText(object, 'resourceVersion') === undefined) metadata['resourceVersion'] = String(current.revision);
      return nextState(context, object, { current, shown, options, subresource });
    },
    { options, subresource, attempts: names ? 1 : patchAttempts },
  );
  return { stored, created: false };
}

function applyPatch(definition: ResourceDefinition, shown: JsonObject, patch: Patch): unknown {
  switch (patch.type) {
    case 'json':
      return jsonPatch(shown, patch.body);
    case 'merge':
      if (!isObject(patch.body)) throw badRequest('error decoding patch: a merge patch is an object');
      return mergePatch(shown, patch.body);
    case 'strategic':
      if (!isObject(patch.body)) throw badRequest('error decoding patch: a strategic merge patch is an object');
      return strategicMergePatch(cloneJson(shown), cloneJson(patch.body), definition.schema.declared);
    case 'apply':
      throw unsupportedPatch(definition, patch.type);
  }
}

/** Whether the patch says for which revision it was made: then a lost race is the client's to resolve. */
function namesRevision(patch: Patch): boolean {
  if (!isObject(patch.body)) return false;
  const metadata = patch.body['metadata'];
  return isObject(metadata) && typeof metadata['resourceVersion'] === 'string' && metadata['resourceVersion'] !== '';
}

function unsupportedPatch(definition: ResourceDefinition, type: PatchType): StatusError {
  const accepted = definition.patchTypes.map((known) => mediaTypes[known]);
  const why = type === 'apply' ? 'server-side apply is not served here; ' : '';
  return new StatusError({
    message: `${why}the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
    reason: 'UnsupportedMediaType',
    code: 415,
  });
}
