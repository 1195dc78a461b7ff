/**
 * Who the subjects are, and what is related to them, kept so that a question looks at one subject's things only. Fed with the objects of the
 * store; no clock, no I/O.
 */
import type { KubernetesObject } from '../../../api/object.ts';
import type { Relation, SubjectType } from './compile-access.ts';
import { textsAt, valueAtPath } from './field-path.ts';

/** An object that a user stands for. */
export interface Subject {
  readonly type: SubjectType;
  /** What follows the prefix in the user's name. */
  readonly key: string;
  /** Of the object. */
  readonly name: string;
  /** False when the object is being deleted, or says that it is revoked: its user is believed no more. */
  readonly alive: boolean;
  /** Public key by which it recovers. */
  readonly identityKey: string | undefined;
  readonly object: KubernetesObject;
}

/** A user's name, split. */
export interface SubjectName {
  type: SubjectType;
  key: string;
}

/** The subjects of one type. */
interface Book {
  byName: Map<string, Subject>;
  byKey: Map<string, Subject>;
}

interface RelatedObject {
  key: string;
  namespace: string;
  /** What it makes readable; see {@link readableKey}. */
  names: readonly string[];
}

/** What is related to one subject, by one relation; counted, since several objects may be in a namespace and name the same. */
interface Related {
  namespaces: Map<string, number>;
  readable: Map<string, number>;
}

export class RelationIndex {
  readonly types: readonly SubjectType[];
  readonly #onGone: (user: string) => void;
  readonly #books: ReadonlyMap<SubjectType, Book>;
  readonly #byIdentity = new Map<string, Set<Subject>>();
  /** By relation and the subject's key. */
  readonly #related = new Map<Relation, Map<string, Related>>();
  /** By relation and the object's place. */
  readonly #objects = new Map<Relation, Map<string, RelatedObject>>();

  /** `onGone` is called with the name of a user whose object is there no more, or is believed no more. */
  constructor(types: readonly SubjectType[], onGone: (user: string) => void) {
    this.types = types;
    this.#onGone = onGone;
    this.#books = new Map(types.map((type) => [type, { byName: new Map(), byKey: new Map() }]));
    for (const relation of types.flatMap(({ relations }) => relations)) {
      this.#related.set(relation, new Map());
      this.#objects.set(relation, new Map());
    }
  }

  /** Prefixes of all objects that the index is to be told of. */
  get prefixes(): ReadonlySet<string> {
    return new Set(this.types.flatMap(({ prefix, relations }) => [prefix, ...relations.map((relation) => relation.prefix)]));
  }

  /** Takes the present state of an object that lies under `prefix`; `object` is absent when it was deleted. */
  put(prefix: string, namespace: string | undefined, name: string, object: KubernetesObject | undefined): void {
    for (const type of this.types) {
      if (type.prefix === prefix) this.#putSubject(type, name, object);
      for (const relation of type.relations) if (relation.prefix === prefix) this.#putRelated(relation, namespace ?? '', name, object);
    }
  }

  /** Undefined for a user that stands for nothing. */
  split(user: string): SubjectName | undefined {
    for (const type of this.types) {
      if (user.startsWith(type.userPrefix)) return { type, key: user.slice(type.userPrefix.length) };
    }
    return undefined;
  }

  find({ type, key }: SubjectName): Subject | undefined {
    return this.#books.get(type)?.byKey.get(key);
  }

  /** The one subject that is believed and has this identity key; undefined also when there are several. */
  findByIdentity(identityKey: string): Subject | undefined {
    const alive = [...(this.#byIdentity.get(identityKey) ?? [])].filter((subject) => subject.alive);
    return alive.length === 1 ? alive[0] : undefined;
  }

  /** Whether an object that is related to the subject is in the namespace. */
  reaches(relation: Relation, { key }: Subject, namespace: string): boolean {
    return this.#related.get(relation)?.get(key)?.namespaces.has(namespace) ?? false;
  }

  /** Whether an object that is related to the subject names the object at `place`. */
  isNamed({ type, key }: Subject, target: string, place: { namespace: string; name: string }): boolean {
    const wanted = readableKey(target, place.namespace, place.name);
    return type.relations.some((relation) => this.#related.get(relation)?.get(key)?.readable.has(wanted) === true);
  }

  #putSubject(type: SubjectType, name: string, object: KubernetesObject | undefined): void {
    const book = this.#books.get(type);
    const old = book?.byName.get(name);
    const next = object === undefined ? undefined : subjectOf(type, name, object);
    if (old !== undefined) {
      book?.byName.delete(name);
      book?.byKey.delete(old.key);
      this.#forgetIdentity(old);
    }
    if (next !== undefined) {
      book?.byName.set(name, next);
      book?.byKey.set(next.key, next);
      this.#noteIdentity(next);
    }
    if (old?.alive === true && !(next?.alive === true && next.key === old.key)) this.#onGone(type.userPrefix + old.key);
  }

  #noteIdentity(subject: Subject): void {
    if (subject.identityKey === undefined) return;
    const known = this.#byIdentity.get(subject.identityKey) ?? new Set();
    known.add(subject);
    this.#byIdentity.set(subject.identityKey, known);
  }

  #forgetIdentity(subject: Subject): void {
    if (subject.identityKey === undefined) return;
    const known = this.#byIdentity.get(subject.identityKey);
    known?.delete(subject);
    if (known?.size === 0) this.#byIdentity.delete(subject.identityKey);
  }

  #putRelated(relation: Relation, namespace: string, name: string, object: KubernetesObject | undefined): void {
    const place = `${namespace}/${name}`;
    const objects = this.#objects.get(relation);
    const old = objects?.get(place);
    if (old !== undefined) {
      objects?.delete(place);
      this.#count(relation, old, -1);
    }
    const key = object === undefined ? undefined : valueAtPath(object, relation.path);
    if (typeof key !== 'string' || key === '') return;
    const named = relation.names.flatMap(({ target, paths }) =>
      paths.flatMap((path) => textsAt(object, path).map((text) => readableKey(target, namespace, text))),
    );
    const next = { key, namespace, names: [...new Set(named)] };
    objects?.set(place, next);
    this.#count(relation, next, 1);
  }

  #count(relation: Relation, { key, namespace, names }: RelatedObject, by: 1 | -1): void {
    const subjects = this.#related.get(relation);
    const related: Related = subjects?.get(key) ?? { namespaces: new Map(), readable: new Map() };
    addTo(related.namespaces, namespace, by);
    for (const name of names) addTo(related.readable, name, by);
    if (related.namespaces.size === 0) subjects?.delete(key);
    else subjects?.set(key, related);
  }
}

function addTo(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

/** No part of it can hold a line feed: names of what exists do not, and others match nothing. */
function readableKey(target: string, namespace: string, name: string): string {
  return `${target}\n${namespace}\n${name}`;
}

function subjectOf(type: SubjectType, name: string, object: KubernetesObject): Subject | undefined {
  const key = valueAtPath(object, type.key);
  if (typeof key !== 'string' || key === '') return undefined;
  const isRevoked = type.revoked !== undefined && valueAtPath(object, type.revoked) === true;
  const identityKey = type.recovery === undefined ? undefined : valueAtPath(object, type.recovery.key);
  return {
    type,
    key,
    name,
    alive: object.metadata.deletionTimestamp === undefined && !isRevoked,
    identityKey: typeof identityKey === 'string' && identityKey !== '' ? identityKey : undefined,
    object,
  };
}
