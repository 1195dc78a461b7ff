/** OpenAPI v3: one document for each group version. Pure. */
import { apiVersionOf } from '../../api/resource-type.ts';
import type { ResourceDefinition } from '../registry/resource.ts';
import type { GroupVersion } from './discovery.ts';
import type { Operation } from './openapi-operations.ts';
import { operationsOf } from './openapi-operations.ts';
import { gvk, schemaNameOf, schemasOf, sharedNames } from './openapi-schemas.ts';
import { serverVersion } from './server-version.ts';

const refPrefix = '#/components/schemas/';

/** `api/v1` or `apis/GROUP/VERSION`. */
export function documentPath({ group, version }: GroupVersion): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

export function openApiV3Document(groupVersion: GroupVersion, definitions: readonly ResourceDefinition[]): object {
  const inside = definitions.filter((each) => apiVersionOf(each) === apiVersionOf(groupVersion));
  const paths: Record<string, Record<string, unknown>> = {};
  for (const definition of inside) {
    for (const operation of operationsOf(definition)) {
      const item = (paths[operation.path] ??= { parameters: pathParameters(operation.path) });
      item[operation.method] = operationObject(operation, definition);
    }
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Potluck', version: serverVersion.gitVersion },
    paths,
    components: { schemas: schemasOf(inside, refPrefix) },
  };
}

function operationObject(operation: Operation, definition: ResourceDefinition): object {
  const answer = { $ref: `${refPrefix}${answerSchema(operation, definition)}` };
  return {
    tags: [apiVersionOf(definition)],
    description: operation.description,
    operationId: operation.id,
    parameters: operation.query.map(({ name, type, description }) => ({
      name,
      in: 'query',
      description,
      schema: { type, uniqueItems: true },
    })),
    ...(operation.body === 'none' ? {} : { requestBody: requestBody(operation, definition) }),
    responses: {
      200: { description: 'OK', content: { 'application/json': { schema: answer }, 'application/yaml': { schema: answer } } },
      ...(operation.method === 'post' ? { 201: { description: 'Created', content: { 'application/json': { schema: answer } } } } : {}),
      401: { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': gvk(definition, definition.kind),
  };
}

function requestBody(operation: Operation, definition: ResourceDefinition): object {
  const names = { object: schemaNameOf(definition), patch: sharedNames.patch, deleteOptions: sharedNames.deleteOptions, none: '' };
  const schema = { $ref: `${refPrefix}${names[operation.body]}` };
  return {
    ...(operation.body === 'deleteOptions' ? {} : { required: true }),
    content: Object.fromEntries(operation.consumes.map((type) => [type, { schema }])),
  };
}

export function answerSchema(operation: Operation, definition: ResourceDefinition): string {
  const name = schemaNameOf(definition);
  return { object: name, list: `${name}List`, status: sharedNames.status }[operation.answer];
}

function pathParameters(path: string): object[] {
  return pathParameterNames(path).map((name) => ({ name, in: 'path', required: true, schema: { type: 'string', uniqueItems: true } }));
}

export function pathParameterNames(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/gu)].map((match) => match[1] ?? '');
}
