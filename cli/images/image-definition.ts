/** Reads the definition of an image: `images/*.yaml`. */
import { parse } from 'yaml';
import { UserError } from '../../api/errors.ts';

export interface ImageDefinition {
  reference: string;
  source: DebootstrapSource | DnfSource;
  command: readonly string[];
  env: Readonly<Record<string, string>>;
}

export interface DebootstrapSource {
  tool: 'debootstrap';
  suite: string;
  /** Of debootstrap's own scripts; the suite's where absent. */
  script?: string;
  mirror: string;
  keyring: string;
  components: readonly string[];
  packages: readonly string[];
}

export interface DnfSource {
  tool: 'dnf';
  release: string;
  /** URLs by name. */
  repositories: Readonly<Record<string, string>>;
  keyring: string;
  packages: readonly string[];
}

const name = /^[a-zA-Z0-9][a-zA-Z0-9+._-]*$/;
const url = /^https?:\/\/\S+$/;
const path = /^\/\S+$/;
const reference = /^[a-z0-9][a-z0-9._:/-]*:[A-Za-z0-9_.-]+$/;

/** Throws `BAD_ARGUMENT` with the place in the file of what is wrong. */
export function parseImageDefinition(text: string, file: string): ImageDefinition {
  const refuse: Refuse = (at, what) => {
    throw new UserError('BAD_ARGUMENT', `${file}: ${at === '' ? '' : `${at}: `}${what}`, 'images/README.md says what a definition has');
  };
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    return refuse('', error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'it is no YAML');
  }
  const fields = new Fields(value, '', refuse, ['reference', 'debootstrap', 'dnf', 'command', 'env']);
  if (fields.has('debootstrap') === fields.has('dnf')) return refuse('', 'it must have one of debootstrap and dnf');
  return {
    reference: fields.text('reference', reference),
    source: fields.has('debootstrap') ? debootstrapOf(fields) : dnfOf(fields),
    command: fields.texts('command', /./),
    env: fields.has('env') ? fields.map('env', /^/) : {},
  };
}

function debootstrapOf(fields: Fields): DebootstrapSource {
  const own = fields.object('debootstrap', ['suite', 'script', 'mirror', 'keyring', 'components', 'packages']);
  return {
    tool: 'debootstrap',
    suite: own.text('suite', name),
    ...(own.has('script') ? { script: own.text('script', name) } : {}),
    mirror: own.text('mirror', url),
    keyring: own.text('keyring', path),
    components: own.texts('components', name),
    packages: own.texts('packages', name),
  };
}

function dnfOf(fields: Fields): DnfSource {
  const own = fields.object('dnf', ['release', 'repositories', 'keyring', 'packages']);
  return {
    tool: 'dnf',
    release: own.text('release', name),
    repositories: own.map('repositories', url),
    keyring: own.text('keyring', path),
    packages: own.texts('packages', name),
  };
}

type Refuse = (at: string, what: string) => never;

class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #at: string;
  readonly #refuse: Refuse;

  constructor(value: unknown, at: string, refuse: Refuse, known: readonly string[] | undefined) {
    this.#at = at;
    this.#refuse = refuse;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    this.#object = isObject ? (value as Readonly<Record<string, unknown>>) : refuse(at, 'must be an object');
    if (known === undefined) return;
    for (const key of Object.keys(this.#object))
      if (!known.includes(key)) refuse(this.#place(key), `is unknown; there are ${known.join(', ')}`);
  }

  #place(key: string): string {
    return this.#at === '' ? key : `${this.#at}.${key}`;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key);
  }

  object(key: string, known?: readonly string[]): Fields {
    return new Fields(this.has(key) ? this.#object[key] : undefined, this.#place(key), this.#refuse, known);
  }

  text(key: string, form: RegExp): string {
    const value = this.has(key) ? this.#object[key] : undefined;
    return typeof value === 'string' && form.test(value)
      ? value
      : this.#refuse(this.#place(key), `must be a text of the form ${form.source}`);
  }

  texts(key: string, form: RegExp): string[] {
    const value = this.has(key) ? this.#object[key] : undefined;
    const isList = Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string' && form.test(each));
    return isList ? (value as string[]) : this.#refuse(this.#place(key), `must be a list of texts of the form ${form.source}`);
  }

  map(key: string, form: RegExp): Record<string, string> {
    const inner = this.object(key);
    const names = Object.keys(inner.#object);
    for (const each of names) if (!name.test(each)) this.#refuse(`${this.#place(key)}.${each}`, 'is no name');
    return Object.fromEntries(names.map((each) => [each, inner.text(each, form)]));
  }
}
