/**
 * CEL types of schemas, and how JSON becomes values of them: integers are int, `type: number` is double, date-time is a timestamp, objects
 * with properties are types of their own whose fields are converted when they are asked for.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { Duration } from '@marcbachmann/cel-js/evaluator';
import { canonicalJson, isObject, equalJson } from '../json-value.ts';
import type { JsonObject } from '../json-value.ts';
import type { JsonSchema } from '../structural-schema.ts';
import { weigh, weightOf } from './cost.ts';
import { parseDuration } from './duration.ts';
import { escapeName } from './escape-name.ts';

export interface CelType {
  /** As the engine writes types, for example `list<int>`. */
  readonly name: string;
  /** Makes a value of the type; the JSON must be valid for the schema. */
  convert(json: unknown): unknown;
}

/** JSON of which no schema says more. */
export function convertDynamic(json: unknown): unknown {
  if (typeof json === 'number') return Number.isInteger(json) ? BigInt(json) : json;
  if (Array.isArray(json)) return json.map(convertDynamic);
  if (isObject(json)) return new Map(Object.entries(json).map(([key, value]) => [key, convertDynamic(value)]));
  return json;
}

interface Field {
  key: string;
  type: CelType;
}

/** An object with declared fields. Each schema has a subclass of its own, whose getters are the fields, by their escaped names. */
export class CelObject {
  readonly #json: JsonObject;
  readonly #converted = new Map<string, unknown>();

  constructor(json: JsonObject) {
    this.#json = json;
  }

  static read(object: CelObject, { key, type }: Field): unknown {
    if (!Object.hasOwn(object.#json, key)) return undefined;
    if (!object.#converted.has(key)) object.#converted.set(key, type.convert(object.#json[key]));
    return object.#converted.get(key);
  }

  static equal(a: CelObject, b: CelObject): boolean {
    return equalJson(a.#json, b.#json);
  }

  static textOf(object: CelObject): string {
    return canonicalJson(object.#json);
  }

  get [weightOf](): number {
    return weigh(this.#json);
  }
}

const simple = (name: string): CelType => ({ name, convert: (json) => json });
const dynamic: CelType = { name: 'dyn', convert: convertDynamic };
const integer: CelType = { name: 'int', convert: (json) => BigInt(json as number) };
const timestamp: CelType = { name: 'google.protobuf.Timestamp', convert: (json) => new Date(json as string) };
const duration: CelType = {
  name: 'google.protobuf.Duration',
  convert(json) {
    const nanos = parseDuration(json as string) ?? 0n;
    return new Duration(nanos / 1_000_000_000n, Number(nanos % 1_000_000_000n));
  },
};
const bytes: CelType = { name: 'bytes', convert: (json) => Uint8Array.from(Buffer.from(json as string, 'base64')) };

const stringTypes: ReadonlyMap<string, CelType> = new Map([
  ['date-time', timestamp],
  ['date', timestamp],
  ['duration', duration],
  ['byte', bytes],
]);

const scalarTypes: ReadonlyMap<string, CelType> = new Map([
  ['integer', integer],
  ['number', simple('double')],
  ['boolean', simple('bool')],
]);

const metadataSchema: JsonSchema = { type: 'object', properties: { name: { type: 'string' }, generateName: { type: 'string' } } };

function propertiesOf(schema: JsonSchema, resource: boolean): Record<string, JsonSchema> {
  if (!resource) return schema.properties ?? {};
  return { ...schema.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: metadataSchema };
}

function declareObject(environment: Environment, schema: JsonSchema, name: string, resource: boolean): CelType {
  const fields: Record<string, string> = {};
  const ObjectType = class extends CelObject {};
  for (const [key, property] of Object.entries(propertiesOf(schema, resource))) {
    const identifier = escapeName(key);
    if (identifier === undefined) continue;
    const field: Field = { key, type: declareType(environment, property, `${name}.${identifier}`) };
    fields[identifier] = field.type.name;
    Object.defineProperty(ObjectType.prototype, identifier, {
      get(this: CelObject) {
        return CelObject.read(this, field);
      },
    });
  }
  environment.registerType(name, { ctor: ObjectType, fields });
  environment.registerOperator(`${name} == ${name}`, (a: CelObject, b: CelObject) => CelObject.equal(a, b));
  return { name, convert: (json) => new ObjectType(json as JsonObject) };
}

function declareMap(value: CelType): CelType {
  return {
    name: `map<string, ${value.name}>`,
    convert: (json) => new Map(Object.entries(json as JsonObject).map(([key, member]) => [key, value.convert(member)])),
  };
}

function declareNotNull(environment: Environment, schema: JsonSchema, name: string, resource: boolean): CelType {
  if (schema['x-kubernetes-int-or-string'] === true) return dynamic;
  switch (schema.type) {
    case 'string':
      return stringTypes.get(schema.format ?? '') ?? simple('string');
    case 'array': {
      const items = schema.items === undefined ? dynamic : declareType(environment, schema.items, `${name}.item`);
      return { name: `list<${items.name}>`, convert: (json) => (json as readonly unknown[]).map((item) => items.convert(item)) };
    }
    case 'object':
      if (typeof schema.additionalProperties === 'object') {
        return declareMap(declareType(environment, schema.additionalProperties, `${name}.value`));
      }
      if (schema.additionalProperties === true) return declareMap(dynamic);
      return declareObject(environment, schema, name, resource || schema['x-kubernetes-embedded-resource'] === true);
    default:
      return scalarTypes.get(schema.type ?? '') ?? dynamic;
  }
}

/**
 * Declares the type of a schema, and of everything beneath it, in an environment. `name` is the name of the type if it is an object;
 * `resource` adds apiVersion, kind and the readable part of metadata.
 */
export function declareType(environment: Environment, schema: JsonSchema, name: string, resource = false): CelType {
  const type = declareNotNull(environment, schema, name, resource);
  if (schema.nullable !== true) return type;
  return { name: 'dyn', convert: (json) => (json === null ? null : type.convert(json)) };
}
