/** Objects as one served version shows them: converted from the stored form, with defaults that came after they were written. */
import type { KubernetesObject } from '../../api/object.ts';
import type { JsonSchema, StructuralSchema } from '../admission/structural-schema.ts';
import { cloneJson, equalJson, isObject, type JsonObject } from '../admission/json-value.ts';
import type { StoredObject } from './resource.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface VersionConversion {
  /** Answers a new object; `stored` is not to be changed. */
  fromStored(stored: JsonObject): JsonObject;
  /** May change `object`. */
  toStored(object: JsonObject): JsonObject;
}

/** Versions that differ in nothing but their name. */
export function renamingConversion(apiVersion: string, storageApiVersion: string): VersionConversion | undefined {
  if (apiVersion === storageApiVersion) return undefined;
  return {
    fromStored: (stored) => ({ ...stored, apiVersion }),
    toStored: (object) => ({ ...object, apiVersion: storageApiVersion }),
  };
}

export class VersionView {
  readonly #apiVersion: string;
  readonly #conversion: VersionConversion | undefined;
  readonly #storageSchema: StructuralSchema;
  readonly #hasDefaults: boolean;
  /** What each revision of an object looks like in this version; forgotten with the revision. */
  readonly #shown = new WeakMap<StoredEntry, StoredObject>();

  constructor(apiVersion: string, storageSchema: StructuralSchema, conversion: VersionConversion | undefined) {
    this.#apiVersion = apiVersion;
    this.#storageSchema = storageSchema;
    this.#conversion = conversion;
    this.#hasDefaults = declaresDefault(storageSchema.declared);
  }

  show(entry: StoredEntry): StoredObject {
    const known = this.#shown.get(entry);
    if (known !== undefined) return known;
    const shown = this.#render(entry);
    this.#shown.set(entry, shown);
    return shown;
  }

  /** The object in the form in which it is stored. */
  toStored(object: JsonObject): JsonObject {
    return this.#conversion === undefined ? object : this.#conversion.toStored(object);
  }

  #render(entry: StoredEntry): StoredObject {
    let object = entry.object as unknown as JsonObject;
    if (this.#hasDefaults) {
      const defaulted = cloneJson(object);
      this.#storageSchema.applyDefaults(defaulted);
      if (!equalJson(defaulted, object)) object = defaulted;
    }
    if (this.#conversion !== undefined) object = this.#conversion.fromStored(object);
    // An object of a version that is no longer the stored one: versions differ only in their name.
    else if (object['apiVersion'] !== this.#apiVersion) object = { ...object, apiVersion: this.#apiVersion };
    if (object === (entry.object as unknown)) return entry;
    return { object: object as unknown as KubernetesObject, bytes: Buffer.from(JSON.stringify(object)), revision: entry.revision };
  }
}

function declaresDefault(schema: JsonSchema): boolean {
  if (schema.default !== undefined) return true;
  const { additionalProperties, items, properties } = schema;
  if (isObject(additionalProperties) && declaresDefault(additionalProperties)) return true;
  if (items !== undefined && declaresDefault(items)) return true;
  return Object.values(properties ?? {}).some(declaresDefault);
}
