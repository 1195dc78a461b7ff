/**
 * OpenAPI v2 as the protobuf that kubectl before 1.27 insists on. Field numbers are those of github.com/google/gnostic-models
 * `openapiv2/OpenAPIv2.proto`; only what our documents contain is defined.
 */
import protobuf from 'protobufjs';
import { stringify } from 'yaml';
import type { SchemaNode } from './openapi-schemas.ts';
import type { SwaggerDocument, SwaggerOperation, SwaggerParameter, SwaggerPath } from './openapi-v2.ts';

const definition = `
syntax = "proto3";
message Document { string swagger = 1; Info info = 2; Paths paths = 8; Definitions definitions = 9; }
message Info { string title = 1; string version = 2; }
message Paths { repeated NamedPathItem path = 2; }
message NamedPathItem { string name = 1; PathItem value = 2; }
message PathItem {
  Operation get = 2; Operation put = 3; Operation post = 4; Operation delete = 5; Operation patch = 8; repeated ParametersItem parameters = 9;
}
message Operation {
  string description = 3; string operation_id = 5; repeated string produces = 6; repeated string consumes = 7;
  repeated ParametersItem parameters = 8; Responses responses = 9; repeated NamedAny vendor_extension = 13;
}
message ParametersItem { oneof choice { Parameter parameter = 1; } }
message Parameter { oneof choice { BodyParameter body_parameter = 1; NonBodyParameter non_body_parameter = 2; } }
message BodyParameter { string description = 1; string name = 2; string in = 3; bool required = 4; Schema schema = 5; }
message NonBodyParameter {
  oneof choice { QueryParameterSubSchema query_parameter_sub_schema = 3; PathParameterSubSchema path_parameter_sub_schema = 4; }
}
message QueryParameterSubSchema { bool required = 1; string in = 2; string description = 3; string name = 4; string type = 6; }
message PathParameterSubSchema { bool required = 1; string in = 2; string description = 3; string name = 4; string type = 5; }
message Responses { repeated NamedResponseValue response_code = 1; }
message NamedResponseValue { string name = 1; ResponseValue value = 2; }
message ResponseValue { oneof choice { Response response = 1; } }
message Response { string description = 1; SchemaItem schema = 2; }
message SchemaItem { oneof choice { Schema schema = 1; } }
message Definitions { repeated NamedSchema additional_properties = 1; }
message NamedSchema { string name = 1; Schema value = 2; }
message Any { string yaml = 2; }
message NamedAny { string name = 1; Any value = 2; }
message Schema {
  string _ref = 1; string format = 2; string description = 4; Any default = 5; double multiple_of = 6; double maximum = 7;
  bool exclusive_maximum = 8; double minimum = 9; bool exclusive_minimum = 10; int64 max_length = 11; int64 min_length = 12;
  string pattern = 13; int64 max_items = 14; int64 min_items = 15; bool unique_items = 16; int64 max_properties = 17;
  int64 min_properties = 18; repeated string required = 19; repeated Any enum = 20; AdditionalPropertiesItem additional_properties = 21;
  TypeItem type = 22; ItemsItem items = 23; Properties properties = 25; repeated NamedAny vendor_extension = 31;
}
message AdditionalPropertiesItem { oneof choice { Schema schema = 1; bool boolean = 2; } }
message TypeItem { repeated string value = 1; }
message ItemsItem { repeated Schema schema = 1; }
message Properties { repeated NamedSchema additional_properties = 1; }
`;

let documentType: protobuf.Type | undefined;

export function encodeOpenApiV2(document: SwaggerDocument): Uint8Array {
  documentType ??= protobuf.parse(definition, { keepCase: true }).root.lookupType('Document');
  const message = {
    swagger: document.swagger,
    info: document.info,
    paths: { path: Object.entries(document.paths).map(([name, item]) => ({ name, value: pathItem(item) })) },
    definitions: { additional_properties: namedSchemas(document.definitions) },
  };
  return documentType.encode(documentType.fromObject(message)).finish();
}

function pathItem({ parameters, ...operations }: SwaggerPath): object {
  const encoded = Object.entries(operations).map(([method, operation]) => [method, operationMessage(operation)]);
  return { parameters: parameters.map(parameterMessage), ...(Object.fromEntries(encoded) as object) };
}

function operationMessage(operation: SwaggerOperation): object {
  const { description, operationId, produces, consumes, parameters, responses, ...extensions } = operation;
  return {
    description,
    operation_id: operationId,
    produces,
    consumes,
    parameters: parameters.map(parameterMessage),
    responses: {
      response_code: Object.entries(responses).map(([name, { description: text, schema }]) => ({
        name,
        value: { response: { description: text, ...(schema === undefined ? {} : { schema: { schema: schemaMessage(schema) } }) } },
      })),
    },
    vendor_extension: namedAny(extensions),
  };
}

function parameterMessage({ schema, ...parameter }: SwaggerParameter): object {
  switch (parameter.in) {
    case 'body':
      return { parameter: { body_parameter: { ...parameter, schema: schemaMessage(schema ?? {}) } } };
    case 'query':
      return { parameter: { non_body_parameter: { query_parameter_sub_schema: parameter } } };
    case 'path':
      return { parameter: { non_body_parameter: { path_parameter_sub_schema: parameter } } };
  }
}

/** Fields that have the same meaning and only another spelling. */
const scalars: readonly (readonly [keyof SchemaNode, string])[] = [
  ['$ref', '_ref'],
  ['format', 'format'],
  ['description', 'description'],
  ['multipleOf', 'multiple_of'],
  ['maximum', 'maximum'],
  ['exclusiveMaximum', 'exclusive_maximum'],
  ['minimum', 'minimum'],
  ['exclusiveMinimum', 'exclusive_minimum'],
  ['maxLength', 'max_length'],
  ['minLength', 'min_length'],
  ['pattern', 'pattern'],
  ['maxItems', 'max_items'],
  ['minItems', 'min_items'],
  ['uniqueItems', 'unique_items'],
  ['maxProperties', 'max_properties'],
  ['minProperties', 'min_properties'],
  ['required', 'required'],
];

function schemaMessage(schema: SchemaNode): object {
  const message: Record<string, unknown> = {};
  for (const [from, to] of scalars) if (schema[from] !== undefined) message[to] = schema[from];
  if (schema.type !== undefined) message['type'] = { value: [schema.type] };
  if (schema.default !== undefined) message['default'] = any(schema.default);
  if (schema.enum !== undefined) message['enum'] = schema.enum.map(any);
  if (schema.items !== undefined) message['items'] = { schema: [schemaMessage(schema.items)] };
  if (schema.properties !== undefined) message['properties'] = { additional_properties: namedSchemas(schema.properties) };
  const { additionalProperties } = schema;
  if (additionalProperties !== undefined) {
    message['additional_properties'] =
      typeof additionalProperties === 'boolean' ? { boolean: additionalProperties } : { schema: schemaMessage(additionalProperties) };
  }
  message['vendor_extension'] = namedAny(Object.fromEntries(Object.entries(schema).filter(([name]) => name.startsWith('x-'))));
  return message;
}

function namedSchemas(schemas: Record<string, SchemaNode>): object[] {
  return Object.entries(schemas).map(([name, schema]) => ({ name, value: schemaMessage(schema) }));
}

function namedAny(extensions: object): object[] {
  return Object.entries(extensions).map(([name, value]) => ({ name, value: any(value) }));
}

function any(value: unknown): { yaml: string } {
  return { yaml: stringify(value, { aliasDuplicateObjects: false }) };
}
