/** Reads an owner's policy from the text of its file: every mistake with the line that it is in. */
import { Ajv } from 'ajv';
import type { ErrorObject } from 'ajv';
import { LineCounter, isCollection, isPair, isScalar, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { isQuantity, parseQuantity, quantityToNumber, signOfQuantity } from '../../api/quantity.ts';
import type { OwnerPolicy, PolicyAmounts, WeeklyWindow } from './policy.ts';
import { policySchema } from './policy-schema.ts';

export interface PolicyProblem {
  /** From 1. */
  line: number;
  /** Where in the document, for example `total.cpu`; empty for the whole. */
  path: string;
  message: string;
}

export type ParsedPolicy = { policy: OwnerPolicy } | { problems: readonly PolicyProblem[] };

/** Of a file that says more than any policy needs, nothing is read. */
export const mostPolicyBytes = 256 * 1024;

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile<RawPolicy>(policySchema);

/** What the schema lets through. */
interface RawPolicy {
  stopNow?: boolean;
  hours?: { days: string[]; from: string; to: string }[];
  total?: Record<string, string | number>;
  perInstance?: Record<string, string | number>;
  images?: OwnerPolicy['images'];
  members?: OwnerPolicy['members'];
  runtimes?: OwnerPolicy['runtimes'];
  freeDisk?: string | number;
}

export function parsePolicy(text: string): ParsedPolicy {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, maxAliasCount: 0 } as object);
  const broken = document.errors.map(({ pos, message }) => ({
    line: lines.linePos(pos[0]).line,
    path: '',
    message: (message.split('\n')[0] ?? message).replace(/ at line \d+, column \d+:?$/, ''),
  }));
  if (broken.length > 0) return { problems: broken };
  const source = new Source(document, lines);
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    return { problems: [source.problem([], error instanceof Error ? error.message : String(error))] };
  }
  if (!validate(raw)) return { problems: schemaProblems(validate.errors ?? [], source) };
  const problems = contentProblems(raw, source);
  return problems.length > 0 ? { problems } : { policy: policyOf(raw) };
}

/** Finds lines of places in the document. */
class Source {
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  /** Of the key when `path` leads to a member of a map; of the nearest thing that is there otherwise. */
  problem(path: readonly (string | number)[], message: string): PolicyProblem {
    return { line: this.#lineOf(path), path: path.join('.'), message };
  }

  #lineOf(path: readonly (string | number)[]): number {
    let node: unknown = this.#document.contents;
    let offset = offsetOf(node) ?? 0;
    for (const step of path) {
      if (!isCollection(node)) break;
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(step));
      node = isPair(pair) ? pair.value : node.get(step, true);
      offset = (isPair(pair) ? offsetOf(pair.key) : offsetOf(node)) ?? offset;
    }
    return this.#lines.linePos(offset).line;
  }
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0];
}

function schemaProblems(errors: readonly ErrorObject[], source: Source): PolicyProblem[] {
  return errors.map((error) => {
    const path = error.instancePath
      .split('/')
      .slice(1)
      .map((step) => (/^\d+$/.test(step) ? Number(step) : step.replaceAll('~1', '/').replaceAll('~0', '~')));
    const params = error.params as Record<string, unknown>;
    const extra = params['additionalProperty'];
    if (typeof extra === 'string')
      return source.problem([...path, extra], `${extra} is not a field of ${path.join('.') || 'an OwnerPolicy'}`);
    return source.problem(path, describe(error, params));
  });
}

function describe({ keyword, message }: ErrorObject, params: Record<string, unknown>): string {
  if (keyword === 'enum') return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
  if (keyword === 'const') return `must be ${String(params['allowedValue'])}`;
  return message ?? 'is not allowed';
}

function contentProblems(raw: RawPolicy, source: Source): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  for (const part of ['total', 'perInstance'] as const) {
    for (const [name, amount] of Object.entries(raw[part] ?? {})) {
      if (!isAmount(amount)) problems.push(source.problem([part, name], `${JSON.stringify(amount)} is no quantity, as 500m, 2 or 4Gi are`));
    }
  }
  for (const [index, { from, to }] of (raw.hours ?? []).entries()) {
    if (from === to) problems.push(source.problem(['hours', index], 'from and to are the same; for a whole day say 00:00 and 24:00'));
  }
  if (raw.freeDisk !== undefined && freeDiskOf(raw.freeDisk) === undefined) {
    problems.push(source.problem(['freeDisk'], 'must be a quantity of bytes, as 20Gi is, or a share from 0% to 90%'));
  }
  return problems;
}

function isAmount(amount: string | number): boolean {
  return isQuantity(amount) && signOfQuantity(parseQuantity(amount)) >= 0;
}

function policyOf(raw: RawPolicy): OwnerPolicy {
  const { stopNow = false, hours, images, members, runtimes, freeDisk } = raw;
  const floor = freeDisk === undefined ? undefined : freeDiskOf(freeDisk);
  return {
    stopNow,
    ...(hours === undefined ? {} : { hours: hours.flatMap(windowsOf) }),
    total: written(raw.total),
    perInstance: written(raw.perInstance),
    ...(images === undefined ? {} : { images }),
    ...(members === undefined ? {} : { members }),
    ...(runtimes === undefined ? {} : { runtimes }),
    ...(floor === undefined ? {} : { freeDisk: floor }),
  };
}

function written(amounts: RawPolicy['total'] = {}): PolicyAmounts {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, String(amount)]));
}

function freeDiskOf(text: string | number): OwnerPolicy['freeDisk'] {
  const percent = /^(\d{1,2}(?:\.\d+)?)\s*%$/.exec(String(text))?.[1];
  if (percent !== undefined) return Number(percent) <= 90 ? { share: Number(percent) / 100 } : undefined;
  return isAmount(text) ? { bytes: quantityToNumber(parseQuantity(text)) } : undefined;
}

const dayNames = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const dayMinutes = 24 * 60;

/** One for each day; where `to` is not later than `from` it is on the next day. */
function windowsOf({ days, from, to }: { days: string[]; from: string; to: string }): WeeklyWindow[] {
  const minutes = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
  return days.map((day) => {
    const midnight = dayNames.indexOf(day) * dayMinutes;
    const lastsMinutes = minutes(to) > minutes(from) ? minutes(to) - minutes(from) : minutes(to) - minutes(from) + dayMinutes;
    const fromMinute = midnight + minutes(from);
    return { fromMinute, toMinute: (fromMinute + lastsMinutes) % (7 * dayMinutes) };
  });
}
