/** Reads which resources are mirrored, and how: YAML documents, one for each resource. Pure. */
import { parseAllDocuments } from 'yaml';
import { UserError } from '../../../api/errors.ts';
import { simplePath } from '../../admission/json-path.ts';
import { isObject, type JsonObject } from '../../admission/json-value.ts';
import { parsePath, parseTemplate, type Fields, type Missing, type Refuse, type Template } from './template.ts';

/** A resource whose objects are made from another's each time they are read. */
export interface MirrorConfig {
  group: string;
  version: string;
  resource: string;
  singular: string;
  kind: string;
  namespaced: boolean;
  shortNames: readonly string[];
  categories: readonly string[];
  /** Name, namespace, labels and age of an object are its source's. */
  source: { group: string; version: string; resource: string };
  /** Whether objects have an identity, so that they can be watched: uid, resource version and deletion of the source. */
  watch: boolean;
  missing: Missing;
  /** What an object has besides its metadata. */
  template: Fields;
  columns: readonly MirrorColumn[];
  /** Paths in the object, without the dot, that field selectors may name. */
  selectableFields: ReadonlyMap<string, readonly string[]>;
  /** Served by somebody else. */
  subresources: readonly MirrorSubresource[];
}

export interface MirrorColumn {
  name: string;
  type: string;
  description: string;
  /** 0, or 1 for `-o wide`. */
  priority: number;
  /** A path in the mirrored object, or what is made of it. */
  value: string | Template;
}

export interface MirrorSubresource {
  name: string;
  kind: string;
  verbs: readonly string[];
  /** Name of a backend, as the server's options give them an address. */
  backend: string;
}

/** These are made from the source's metadata. */
const reserved = ['apiVersion', 'kind', 'metadata'];
const columnTypes = ['string', 'integer', 'number', 'boolean', 'date'];
const sections = ['resource', 'source', 'watch', 'missing', 'object', 'columns', 'selectableFields', 'subresources'];

/** Throws `BAD_ARGUMENT` with the place in the file of what is wrong. */
export function parseMirrors(text: string, file: string): MirrorConfig[] {
  return parseAllDocuments(text).map((document, index) => {
    const refuse: Refuse = (at, what) => {
      const remedy = 'manifests/metrics.yaml and manifests/mirrors.yaml show how resources are mirrored';
      throw new UserError('BAD_ARGUMENT', `${file}: document ${index + 1}: ${at === '' ? '' : `${at}: `}${what}`, remedy);
    };
    const [problem] = document.errors;
    if (problem !== undefined) return refuse('', problem.message.split('\n')[0] ?? 'it is no YAML');
    const object: unknown = document.toJS();
    return isObject(object) ? mirrorOf(object, refuse) : refuse('', 'it must be an object');
  });
}

function mirrorOf(object: JsonObject, refuse: Refuse): MirrorConfig {
  const fields = new FieldReader(object, '', refuse, sections);
  const own = fields.object('resource', ['group', 'version', 'plural', 'singular', 'kind', 'namespaced', 'shortNames', 'categories']);
  const source = fields.object('source', ['group', 'version', 'plural']);
  const template = fields.value('object');
  if (!isObject(template)) return refuse('object', 'must be an object');
  for (const name of reserved) if (Object.hasOwn(template, name)) refuse(`object.${name}`, 'is made from the source');
  return {
    group: own.text('group', ''),
    version: own.text('version'),
    resource: own.text('plural'),
    singular: own.text('singular', ''),
    kind: own.text('kind'),
    namespaced: own.flag('namespaced'),
    shortNames: own.texts('shortNames'),
    categories: own.texts('categories'),
    source: { group: source.text('group', ''), version: source.text('version'), resource: source.text('plural') },
    watch: fields.flag('watch', false),
    missing: fields.choice('missing', ['Hide', 'Omit'], 'Hide'),
    template: Object.entries(template).map(([name, value]) => [name, parseTemplate(value, `object.${name}`, refuse)]),
    columns: fields.list('columns').map((column, index) => columnOf(column, `columns[${index}]`, refuse)),
    selectableFields: new Map(
      fields.texts('selectableFields').map((path, index) => selectableOf(path, `selectableFields[${index}]`, refuse)),
    ),
    subresources: fields.list('subresources').map((each, index) => subresourceOf(each, `subresources[${index}]`, refuse)),
  };
}

function columnOf(column: unknown, at: string, refuse: Refuse): MirrorColumn {
  if (!isObject(column)) return refuse(at, 'must be an object');
  const fields = new FieldReader(column, at, refuse, ['name', 'type', 'description', 'priority', 'path', 'value']);
  const value = fields.value('value');
  if (value === undefined) parsePath(fields.text('path'), `${at}.path`, refuse);
  const priority = fields.value('priority') ?? 0;
  return {
    name: fields.text('name'),
    type: fields.choice('type', columnTypes, 'string'),
    description: fields.text('description', ''),
    priority: priority === 0 || priority === 1 ? priority : refuse(`${at}.priority`, 'must be 0 or 1'),
    value: value === undefined ? fields.text('path') : parseTemplate(value, `${at}.value`, refuse),
  };
}

function selectableOf(path: string, at: string, refuse: Refuse): [string, readonly string[]] {
  const names = simplePath(path) ?? refuse(at, 'must be a path of names');
  return [names.join('.'), names];
}

function subresourceOf(value: unknown, at: string, refuse: Refuse): MirrorSubresource {
  if (!isObject(value)) return refuse(at, 'must be an object');
  const fields = new FieldReader(value, at, refuse, ['name', 'kind', 'verbs', 'backend']);
  const verbs = fields.texts('verbs');
  if (verbs.length === 0 || verbs.some((verb) => verb !== 'get' && verb !== 'create')) refuse(`${at}.verbs`, 'must be of get and create');
  return { name: fields.text('name'), kind: fields.text('kind'), verbs, backend: fields.text('backend') };
}

/** Reads fields of a known form, and refuses others. */
class FieldReader {
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

  object(name: string, known: readonly string[]): FieldReader {
    const value = this.value(name);
    return isObject(value)
      ? new FieldReader(value, this.#place(name), this.#refuse, known)
      : this.#refuse(this.#place(name), 'must be an object');
  }

  text(name: string, otherwise?: string): string {
    const value = this.value(name) ?? otherwise;
    return typeof value === 'string' && (value !== '' || otherwise === '') ? value : this.#refuse(this.#place(name), 'must be a text');
  }

  choice<T extends string>(name: string, known: readonly T[], otherwise: T): T {
    const value = this.value(name) ?? otherwise;
    return known.find((each) => each === value) ?? this.#refuse(this.#place(name), `must be one of ${known.join(', ')}`);
  }

  flag(name: string, otherwise?: boolean): boolean {
    const value = this.value(name) ?? otherwise;
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
