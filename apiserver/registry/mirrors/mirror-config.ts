/** Reads which resources are mirrored, and how: YAML documents, one for each resource. Pure. */
import { parseAllDocuments } from 'yaml';
import { UserError } from '../../../api/errors.ts';
import { compileJsonPath, JsonPathError, type JsonPath } from '../../admission/json-path.ts';
import { isObject, type JsonObject } from '../../admission/json-value.ts';

/** A resource whose objects are made from another's each time they are read. */
export interface MirrorConfig {
  group: string;
  version: string;
  resource: string;
  singular: string;
  kind: string;
  namespaced: boolean;
  shortNames: readonly string[];
  /** Name, namespace, labels and age of an object are its source's. */
  source: { group: string; version: string; resource: string };
  /** What an object has besides its metadata. */
  template: readonly (readonly [string, Template])[];
  columns: readonly { name: string; path: string }[];
}

/** A value, where in the source it is found, or what it is made of. */
export type Template =
  | { kind: 'literal'; value: string }
  | { kind: 'path'; read: JsonPath }
  | { kind: 'object'; fields: readonly (readonly [string, Template])[] }
  | { kind: 'list'; items: readonly Template[] };

/** Deeper than any object that is worth mirroring. */
const deepest = 10;
/** These are made from the source's metadata. */
const reserved = ['apiVersion', 'kind', 'metadata'];

/** Throws `BAD_ARGUMENT` with the place in the file of what is wrong. */
export function parseMirrors(text: string, file: string): MirrorConfig[] {
  return parseAllDocuments(text).map((document, index) => {
    const refuse: Refuse = (at, what) => {
      const remedy = 'manifests/metrics.yaml shows how resources are mirrored';
      throw new UserError('BAD_ARGUMENT', `${file}: document ${index + 1}: ${at === '' ? '' : `${at}: `}${what}`, remedy);
    };
    const [problem] = document.errors;
    if (problem !== undefined) return refuse('', problem.message.split('\n')[0] ?? 'it is no YAML');
    const object: unknown = document.toJS();
    return isObject(object) ? mirrorOf(object, refuse) : refuse('', 'it must be an object');
  });
}

type Refuse = (at: string, what: string) => never;

function mirrorOf(object: JsonObject, refuse: Refuse): MirrorConfig {
  const fields = new Fields(object, '', refuse, ['resource', 'source', 'object', 'columns']);
  const own = fields.object('resource', ['group', 'version', 'plural', 'singular', 'kind', 'namespaced', 'shortNames']);
  const source = fields.object('source', ['group', 'version', 'plural']);
  const template = fields.value('object');
  if (!isObject(template)) return refuse('object', 'must be an object');
  for (const name of reserved) if (Object.hasOwn(template, name)) refuse(`object.${name}`, 'is made from the source');
  return {
    group: own.text('group'),
    version: own.text('version'),
    resource: own.text('plural'),
    singular: own.text('singular', ''),
    kind: own.text('kind'),
    namespaced: own.flag('namespaced'),
    shortNames: own.texts('shortNames'),
    source: { group: source.text('group', ''), version: source.text('version'), resource: source.text('plural') },
    template: Object.entries(template).map(([name, value]) => [name, templateOf(value, `object.${name}`, refuse, 1)]),
    columns: fields.list('columns').map((column, index) => columnOf(column, `columns[${index}]`, refuse)),
  };
}

function templateOf(value: unknown, at: string, refuse: Refuse, depth: number): Template {
  if (depth > deepest) return refuse(at, `is deeper than ${deepest} levels`);
  if (Array.isArray(value)) {
    return { kind: 'list', items: value.map((item, index) => templateOf(item, `${at}[${index}]`, refuse, depth + 1)) };
  }
  if (isObject(value)) {
    const fields = Object.entries(value).map(([name, each]) => [name, templateOf(each, `${at}.${name}`, refuse, depth + 1)] as const);
    return { kind: 'object', fields };
  }
  if (typeof value !== 'string') return refuse(at, 'must be a text: a path that begins with a dot, or a value');
  return value.startsWith('.') ? { kind: 'path', read: pathOf(value, at, refuse) } : { kind: 'literal', value };
}

function columnOf(column: unknown, at: string, refuse: Refuse): { name: string; path: string } {
  if (!isObject(column)) return refuse(at, 'must be an object');
  const fields = new Fields(column, at, refuse, ['name', 'path']);
  const path = fields.text('path');
  pathOf(path, `${at}.path`, refuse);
  return { name: fields.text('name'), path };
}

function pathOf(text: string, at: string, refuse: Refuse): JsonPath {
  try {
    return compileJsonPath(text);
  } catch (error) {
    if (error instanceof JsonPathError) return refuse(at, error.message);
    throw error;
  }
}

/** Reads fields of a known form, and refuses others. */
class Fields {
  readonly #object: JsonObject;
  readonly #at: string;
  readonly #refuse: Refuse;

  constructor(object: JsonObject, at: string, refuse: Refuse, known: readonly string[]) {
    this.#object = object;
    this.#at = at;
    this.#refuse = refuse;
    for (const name of Object.keys(object))
      if (!known.includes(name)) refuse(this.#place(name), `is unknown; there are ${known.join(', ')}`);
  }

  #place(name: string): string {
    return this.#at === '' ? name : `${this.#at}.${name}`;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  object(name: string, known: readonly string[]): Fields {
    const value = this.value(name);
    return isObject(value)
      ? new Fields(value, this.#place(name), this.#refuse, known)
      : this.#refuse(this.#place(name), 'must be an object');
  }

  text(name: string, otherwise?: string): string {
    const value = this.value(name) ?? otherwise;
    return typeof value === 'string' && (value !== '' || otherwise === '') ? value : this.#refuse(this.#place(name), 'must be a text');
  }

  flag(name: string): boolean {
    const value = this.value(name);
    return typeof value === 'boolean' ? value : this.#refuse(this.#place(name), 'must be true or false');
  }

  list(name: string): unknown[] {
    const value = this.value(name) ?? [];
    return Array.isArray(value) ? value : this.#refuse(this.#place(name), 'must be a list');
  }

  texts(name: string): string[] {
    return this.list(name).map((value, index) =>
      typeof value === 'string' ? value : this.#refuse(`${this.#place(name)}[${index}]`, 'must be a text'),
    );
  }
}
