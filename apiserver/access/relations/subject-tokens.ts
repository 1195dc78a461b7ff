/**
 * Bearer tokens whose hash an object of the pool holds: `<prefix>.<name of the object>.<secret>`. Whatever is wrong with one, it takes the
 * same work to find out, and the answer is the same.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ResourceAttributes } from '../authorize.ts';
import { targetOf, type SubjectType, type TokenRules } from './compile-access.ts';
import { textsAt, valueAtPath } from './field-path.ts';
import type { RelationIndex, Subject } from './relation-index.ts';

/** A token that is accepted, at least for something. */
export interface AcceptedToken {
  subject: Subject;
  /** What a token whose uses are spent still reads; undefined for one that is not. */
  allowsOnly: ((attributes: ResourceAttributes) => boolean) | undefined;
}

export interface TokenText {
  type: SubjectType;
  rules: TokenRules;
  name: string;
  secret: string;
}

/** Compared with where there is no such object, so that the comparison is made all the same. */
const nobodysHash = randomBytes(32);

export class SubjectTokens {
  readonly #index: RelationIndex;

  constructor(index: RelationIndex) {
    this.#index = index;
  }

  /** Undefined for tokens of other kinds, which others judge. What begins as one of ours is ours, however it goes on. */
  read(token: string): TokenText | undefined {
    for (const type of this.#index.types) {
      const rules = type.token;
      if (rules === undefined || !token.startsWith(`${rules.prefix}.`)) continue;
      const [name = '', secret = '', ...more] = token.slice(rules.prefix.length + 1).split('.');
      // A secret that nobody has stands for what is malformed.
      return { type, rules, name, secret: more.length === 0 ? secret : token };
    }
    return undefined;
  }

  /** Undefined for a token that is not accepted now. */
  judge({ type, rules, name, secret }: TokenText, nowMs: number): AcceptedToken | undefined {
    const subject = this.#index.find({ type, key: name });
    const shown = createHash('sha256').update(secret).digest();
    const isRight = timingSafeEqual(shown, hashOf(subject, rules) ?? nobodysHash);
    const expiresMs = Date.parse(String(valueAtPath(subject?.object, rules.expires)));
    const isCurrent = nowMs < expiresMs && subject?.alive === true;
    const isSpent = countOf(subject, rules) >= usesOf(subject, rules);
    if (subject === undefined || !isRight || !isCurrent) return undefined;
    return { subject, allowsOnly: isSpent ? (attributes) => isClaimed(subject, rules, attributes) : undefined };
  }
}

/** SHA-256, which the object has in hexadecimal. */
function hashOf(subject: Subject | undefined, { hash }: TokenRules): Buffer | undefined {
  const bytes = Buffer.from(String(valueAtPath(subject?.object, hash)), 'hex');
  return bytes.length === nobodysHash.length ? bytes : undefined;
}

function countOf(subject: Subject | undefined, { claims }: TokenRules): number {
  const value = valueAtPath(subject?.object, claims);
  return Array.isArray(value) ? value.length : 0;
}

function usesOf(subject: Subject | undefined, { uses }: TokenRules): number {
  const value = valueAtPath(subject?.object, uses);
  return typeof value === 'number' ? value : 1;
}

function isClaimed({ object }: Subject, { reads }: TokenRules, attributes: ResourceAttributes): boolean {
  const { verb, name } = attributes;
  if (targetOf(attributes) !== reads.target || !reads.verbs.has(verb) || name === undefined) return false;
  return textsAt(object, reads.names).includes(name);
}
