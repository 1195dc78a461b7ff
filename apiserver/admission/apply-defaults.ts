/** Fills in defaults, as k8s.io/apiextensions-apiserver `schema/defaulting` does; null where null is not allowed becomes the default, or goes. */
import { cloneJson, isObject, setKey } from './json-value.ts';
import type { JsonSchema } from './structural-schema.ts';

/** Fills defaults beneath a value, in place. */
export type Defaulter = (value: unknown) => void;

interface Member {
  nullable: boolean;
  hasDefault: boolean;
  defaultValue: unknown;
  fill: Defaulter;
}

function compileMember(schema: JsonSchema): Member {
  return {
    nullable: schema.nullable === true,
    hasDefault: schema.default !== undefined,
    defaultValue: schema.default,
    fill: compileDefaulter(schema),
  };
}

function fillProperties(object: Record<string, unknown>, properties: ReadonlyMap<string, Member>): void {
  for (const [key, { hasDefault, nullable, defaultValue }] of properties) {
    if (hasDefault && (!Object.hasOwn(object, key) || (object[key] === null && !nullable))) {
      setKey(object, key, cloneJson(defaultValue));
    }
  }
}

function fillMember(object: Record<string, unknown>, key: string, member: Member): void {
  if (object[key] !== null || member.nullable) member.fill(object[key]);
  else if (member.hasDefault) setKey(object, key, cloneJson(member.defaultValue));
  else Reflect.deleteProperty(object, key);
}

/** Compiles what fills the defaults beneath values of a schema. */
export function compileDefaulter(schema: JsonSchema): Defaulter {
  const properties = new Map(Object.entries(schema.properties ?? {}).map(([key, property]) => [key, compileMember(property)]));
  const additional = typeof schema.additionalProperties === 'object' ? compileMember(schema.additionalProperties) : undefined;
  const items = schema.items === undefined ? undefined : compileMember(schema.items);
  return (value) => {
    if (Array.isArray(value)) {
      if (items === undefined) return;
      for (let index = 0; index < value.length; index += 1) {
        if (value[index] === null && !items.nullable && items.hasDefault) value[index] = cloneJson(items.defaultValue);
        items.fill(value[index]);
      }
    } else if (isObject(value)) {
      fillProperties(value, properties);
      for (const key of Object.keys(value)) {
        const member = properties.get(key) ?? additional;
        if (member !== undefined) fillMember(value, key, member);
      }
    }
  };
}
