/** The objects that a binding names as parameters of its policy. */
import type { KubernetesObject } from '../../../api/object.ts';
import type { LabelSelector } from '../../../api/selector.ts';
import { matchesLabelSelector } from '../../../api/selector.ts';
import { apiVersionOf } from '../../../api/resource-type.ts';
import type { ResourceOperations } from '../../registry/resource.ts';
import { StatusError } from '../../registry/status-error.ts';
import type { JsonObject } from '../json-value.ts';
import { labelsOf } from './match-resources.ts';
import type { ParamKind, ParamRef } from './policy-types.ts';

/** A binding that cannot be followed, in words for whoever is refused. */
export class ParamError extends Error {
  override readonly name = 'ParamError';
}

/** The parameters, perhaps none. `operations` is everything that is served. @throws {ParamError} */
export async function findParams(
  kind: ParamKind,
  reference: ParamRef,
  requestNamespace: string | undefined,
  operations: readonly ResourceOperations[],
): Promise<JsonObject[]> {
  const type = operations.find(({ definition }) => definition.kind === kind.kind && apiVersionOf(definition) === kind.apiVersion);
  if (type === undefined) throw new ParamError(`paramKind ${kind.kind}.${kind.apiVersion} is not served`);
  const namespace = namespaceOf(type, reference, requestNamespace);
  const found = await readParams(type, reference, namespace);
  if (found.length === 0 && reference.parameterNotFoundAction !== 'Allow') {
    throw new ParamError('no params found for policy binding with `Deny` parameterNotFoundAction');
  }
  return found.map((object) => object as unknown as JsonObject);
}

function namespaceOf({ definition }: ResourceOperations, reference: ParamRef, requestNamespace: string | undefined): string | undefined {
  const given = reference.namespace ?? '';
  if (!definition.namespaced) {
    if (given !== '') throw new ParamError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
    return undefined;
  }
  if (given !== '') return given;
  if (requestNamespace === undefined) throw new ParamError("can't use namespaced paramRef to match cluster-scoped resources");
  return requestNamespace;
}

async function readParams(type: ResourceOperations, reference: ParamRef, namespace: string | undefined): Promise<KubernetesObject[]> {
  const place = namespace === undefined ? {} : { namespace };
  const { name = '' } = reference;
  const fromCache = { resourceVersion: '0' };
  if (name === '') {
    const { items } = await type.list({ ...place, ...fromCache });
    const selector: LabelSelector = reference.selector ?? {};
    return items.map(({ object }) => object).filter((object) => matchesLabelSelector(selector, labelsOf(object as unknown as JsonObject)));
  }
  try {
    return [(await type.get({ ...place, name }, fromCache)).object];
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return [];
    throw error;
  }
}
