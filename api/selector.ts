/**
 * Label and field selectors: the syntax of queries (`a in (x,y),!b,n>1`), the LabelSelector objects of specs, and how both match. Follows
 * `labels` and `fields` of k8s.io/apimachinery, with their error texts.
 */
import { labelValueProblems, qualifiedNameProblems } from './name-rules.ts';

/** A selector that cannot be understood; the message is what Kubernetes answers with 400. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

export type LabelOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'GreaterThan' | 'LessThan';

/** One condition on one label. `=` and `==` are `In` with one value, `!=` is `NotIn` with one. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** `meta/v1.LabelSelector`. All must hold; an empty selector matches everything. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }[];
}

export type Labels = Readonly<Record<string, string>>;

type TokenKind = 'identifier' | 'operator' | 'end';

interface Token {
  kind: TokenKind;
  text: string;
}

const endToken: Token = { kind: 'end', text: '' };
const binaryOperators = 'in, notin, =, ==, !=, gt, lt';

function tokenize(text: string): Token[] {
  return Array.from(text.matchAll(/==|!=|[()=!<>,]|[^()=!<>,\s]+/g), ([token]) => ({
    kind: /^[()=!<>,]/.test(token) ? 'operator' : 'identifier',
    text: token,
  }));
}

/** Reads one query; each method consumes what it names. */
class LabelSelectorParser {
  readonly #tokens: Token[];
  #position = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    while (this.#peek().kind !== 'end') {
      if (!this.#startsRequirement()) throw new SelectorError(`found '${this.#peek().text}', expected: !, identifier, or 'end of string'`);
      requirements.push(this.#requirement());
      const separator = this.#next();
      if (separator.kind === 'end') break;
      if (separator.text !== ',') throw new SelectorError(`found '${separator.text}', expected: ',' or 'end of string'`);
      if (!this.#startsRequirement()) throw new SelectorError(`found '${this.#peek().text}', expected: identifier after ','`);
    }
    return requirements;
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? endToken;
  }

  #next(): Token {
    const token = this.#peek();
    this.#position += 1;
    return token;
  }

  #startsRequirement(): boolean {
    return this.#peek().kind === 'identifier' || this.#is('!');
  }

  #is(operator: string): boolean {
    return this.#peek().kind === 'operator' && this.#peek().text === operator;
  }

  #requirement(): LabelRequirement {
    const negated = this.#is('!');
    if (negated) this.#next();
    const key = this.#next();
    if (key.kind !== 'identifier') throw new SelectorError(`unable to parse requirement: found '${key.text}', expected: identifier`);
    checkKey(key.text);
    if (this.#peek().kind === 'end' || this.#is(',')) {
      return { key: key.text, operator: negated ? 'DoesNotExist' : 'Exists', values: [] };
    }
    const operator = this.#operator();
    const values = operator.set ? this.#set() : [this.#exactValue()];
    return checkValues({ key: key.text, operator: operator.name, values });
  }

  #operator(): { name: LabelOperator; set: boolean } {
    const { text } = this.#next();
    switch (text) {
      case '=':
      case '==':
        return { name: 'In', set: false };
      case '!=':
        return { name: 'NotIn', set: false };
      case '>':
        return { name: 'GreaterThan', set: false };
      case '<':
        return { name: 'LessThan', set: false };
      case 'in':
        return { name: 'In', set: true };
      case 'notin':
        return { name: 'NotIn', set: true };
      default:
        throw new SelectorError(`unable to parse requirement: found '${text}', expected: ${binaryOperators}`);
    }
  }

  #exactValue(): string {
    if (this.#peek().kind === 'end' || this.#is(',')) return '';
    const value = this.#next();
    if (value.kind !== 'identifier') throw new SelectorError(`unable to parse requirement: found '${value.text}', expected: identifier`);
    return value.text;
  }

  /** `(a,b)`; an empty place between commas is the empty value. */
  #set(): string[] {
    const open = this.#next();
    if (open.text !== '(') throw new SelectorError(`unable to parse requirement: found '${open.text}' expected: '('`);
    const values = new Set<string>();
    if (this.#is(')')) {
      this.#next();
      return [];
    }
    for (;;) {
      values.add(this.#peek().kind === 'identifier' ? this.#next().text : '');
      const after = this.#next();
      if (after.kind === 'operator' && after.text === ')') return [...values].sort();
      if (after.text !== ',') throw new SelectorError(`unable to parse requirement: found '${after.text}', expected: ',' or ')'`);
    }
  }
}

function checkKey(key: string): void {
  const problems = qualifiedNameProblems(key);
  if (problems.length > 0) {
    throw new SelectorError(`unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(key)}: ${problems.join('; ')}`);
  }
}

function checkValues(requirement: LabelRequirement): LabelRequirement {
  const { key, operator, values } = requirement;
  if (values.length === 0) {
    throw new SelectorError(
      "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    );
  }
  for (const [index, value] of values.entries()) {
    const path = `values[${index}]`;
    if ((operator === 'GreaterThan' || operator === 'LessThan') && !isInteger(value)) {
      throw new SelectorError(
        `unable to parse requirement: ${path}: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    const problems = labelValueProblems(value);
    if (problems.length > 0) {
      throw new SelectorError(
        `unable to parse requirement: ${path}[${key}]: Invalid value: ${JSON.stringify(value)}: ${problems.join('; ')}`,
      );
    }
  }
  return requirement;
}

function isInteger(text: string): boolean {
  return /^[+-]?[0-9]{1,19}$/.test(text);
}

/**
 * Reads the `labelSelector` of a query. The empty text selects everything.
 * @throws {SelectorError}
 */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  return new LabelSelectorParser(text).parse();
}

/** Whether both are integers and the first is greater. */
function isGreater(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && isInteger(a) && isInteger(b) && BigInt(a) > BigInt(b);
}

function matchesRequirement({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'GreaterThan':
      return isGreater(value, values[0]);
    case 'LessThan':
      return isGreater(values[0], value);
  }
}

/** Whether labels meet every requirement of a parsed query. */
export function matchesRequirements(requirements: readonly LabelRequirement[], labels: Labels = {}): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/** Whether labels meet a LabelSelector object. */
export function matchesLabelSelector(selector: LabelSelector, labels: Labels = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => matchesRequirement({ key, operator, values }, labels))
  );
}

/** One condition on one field, for example `status.phase=Running`. */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** Splits at commas that no backslash escapes; the escapes stay. */
function splitTerms(text: string): string[] {
  return text.match(/(?:\\.|\\$|[^,\\])+/gs) ?? [];
}

function unescapeValue(text: string): string {
  return text.replaceAll(/\\(.?)|[,=]/gs, (found: string, escaped: string | undefined) => {
    if (escaped === undefined) throw new SelectorError(`invalid field selector: unescaped character in value: ${found.charCodeAt(0)}`);
    if (!['\\', ',', '='].includes(escaped)) throw new SelectorError(`invalid field selector: invalid escape sequence: ${found}`);
    return escaped;
  });
}

/**
 * Reads the `fieldSelector` of a query: `=`, `==` and `!=`, joined by commas; `\\`, `\,` and `\=` stand for themselves in values.
 * @throws {SelectorError}
 */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  return splitTerms(text).map((term) => {
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    const [, field, operator, value] = match ?? [];
    if (field === undefined || operator === undefined || value === undefined) {
      throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    }
    return { field, operator: operator === '!=' ? '!=' : '=', value: unescapeValue(value) };
  });
}

/** `valueOf` gives a field's value as text, the empty text when it is absent. */
export function matchesFieldSelector(requirements: readonly FieldRequirement[], valueOf: (field: string) => string): boolean {
  return requirements.every(({ field, operator, value }) => (valueOf(field) === value) === (operator === '='));
}

/** The fields that a field selector narrows to one value. What cannot be understood narrows nothing: whoever selects by it refuses it. */
export function parseSelectedFields(text: string): ReadonlyMap<string, string> {
  try {
    const equal = parseFieldSelector(text).filter(({ operator }) => operator === '=');
    return new Map(equal.map(({ field, value }) => [field, value]));
  } catch (error) {
    if (error instanceof SelectorError) return new Map();
    throw error;
  }
}
