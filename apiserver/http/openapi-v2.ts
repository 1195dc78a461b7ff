/** OpenAPI v2 (Swagger): one document of everything, for clients that know no v3. Pure. */
import type { JsonSchema } from '../admission/structural-schema.ts';
import type { ResourceDefinition } from '../registry/resource.ts';
import type { Operation } from './openapi-operations.ts';
import { operationsOf } from './openapi-operations.ts';
import { gvk, schemaNameOf, schemasOf, sharedNames } from './openapi-schemas.ts';
import type { SchemaNode } from './openapi-schemas.ts';
import { answerSchema, pathParameterNames } from './openapi-v3.ts';
import { serverVersion } from './server-version.ts';

const refPrefix = '#/definitions/';
const produces = ['application/json', 'application/yaml'];

export interface SwaggerDocument {
  swagger: '2.0';
  info: { title: string; version: string };
  paths: Record<string, SwaggerPath>;
  definitions: Record<string, SchemaNode>;
}

export type SwaggerPath = { parameters: SwaggerParameter[] } & Partial<Record<Operation['method'], SwaggerOperation>>;

export interface SwaggerOperation {
  description: string;
  operationId: string;
  consumes: readonly string[];
  produces: readonly string[];
  parameters: SwaggerParameter[];
  responses: Record<string, { description: string; schema?: SchemaNode }>;
  'x-kubernetes-action': string;
  'x-kubernetes-group-version-kind': object;
}

export interface SwaggerParameter {
  name: string;
  in: 'query' | 'path' | 'body';
  description?: string;
  required?: boolean;
  type?: string;
  schema?: SchemaNode;
}

export function openApiV2Document(definitions: readonly ResourceDefinition[]): SwaggerDocument {
  const paths: Record<string, SwaggerPath> = {};
  for (const definition of definitions) {
    for (const operation of operationsOf(definition)) {
      const item = (paths[operation.path] ??= { parameters: pathParameters(operation.path) });
      item[operation.method] = operationObject(operation, definition);
    }
  }
  const schemas = Object.entries(schemasOf(definitions, refPrefix)).map(([name, schema]) => [name, downgrade(schema)] as const);
  return {
    swagger: '2.0',
    info: { title: 'Potluck', version: serverVersion.gitVersion },
    paths,
    definitions: Object.fromEntries(schemas),
  };
}

function operationObject(operation: Operation, definition: ResourceDefinition): SwaggerOperation {
  const parameters: SwaggerParameter[] = operation.query.map(({ name, type, description }) => ({ name, in: 'query', type, description }));
  if (operation.body !== 'none') {
    const names = { object: schemaNameOf(definition), patch: sharedNames.patch, deleteOptions: sharedNames.deleteOptions };
    const required = operation.body !== 'deleteOptions';
    parameters.unshift({ name: 'body', in: 'body', required, schema: { $ref: `${refPrefix}${names[operation.body]}` } });
  }
  const schema = { $ref: `${refPrefix}${answerSchema(operation, definition)}` };
  return {
    description: operation.description,
    operationId: operation.id,
    consumes: operation.consumes,
    produces,
    parameters,
    responses: {
      200: { description: 'OK', schema },
      ...(operation.method === 'post' ? { 201: { description: 'Created', schema } } : {}),
      401: { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': gvk(definition, definition.kind),
  };
}

function pathParameters(path: string): SwaggerParameter[] {
  return pathParameterNames(path).map((name) => ({ name, in: 'path', required: true, type: 'string' }));
}

/**
 * Leaves out what v2 cannot say. Where old clients would then refuse what the server takes (null, two types, unknown fields), the type goes too
 * (after apiextensions-apiserver `pkg/controller/openapi/v2/conversion.go`).
 */
function downgrade(schema: SchemaNode): SchemaNode {
  const { nullable, properties, items, additionalProperties, ...rest } = schema;
  for (const combination of ['oneOf', 'anyOf', 'allOf', 'not'] as const) Reflect.deleteProperty(rest, combination);
  if (rest['x-kubernetes-int-or-string'] === true) {
    delete rest.type;
    return rest;
  }
  if (nullable === true || rest['x-kubernetes-preserve-unknown-fields'] === true) {
    delete rest.type;
    return rest;
  }
  const node: SchemaNode = { ...rest };
  if (properties !== undefined) node.properties = mapValues(properties, downgrade);
  if (items !== undefined) node.items = downgrade(items);
  if (additionalProperties !== undefined) {
    node.additionalProperties = typeof additionalProperties === 'boolean' ? additionalProperties : downgrade(additionalProperties);
  }
  return node;
}

function mapValues(properties: Record<string, JsonSchema>, change: (schema: JsonSchema) => JsonSchema): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, change(schema)]));
}
