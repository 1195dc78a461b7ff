/** CEL's `string.format`: %s, %d, %f, %e, %b, %o, %x, %X and %%, with a precision for %f and %e. */
import { Duration } from '@marcbachmann/cel-js/evaluator';
import { charge, weigh } from './cost.ts';

function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map(plain).join(', ')}]`;
  if (value instanceof Map)
    return `{${Array.from(value, ([key, member]) => `${plain(key)}: ${plain(member)}`)
      .sort()
      .join(', ')}}`;
  if (value instanceof Duration) return value.toString();
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new TypeError('error during formatting: the argument has no text');
}

function inBase(value: unknown, base: number, verb: string): string {
  if (typeof value === 'bigint') return value.toString(base);
  if (typeof value === 'boolean' && base === 2) return value ? '1' : '0';
  if (typeof value === 'string' && base === 16) return Buffer.from(value, 'utf8').toString('hex');
  throw new TypeError(`error during formatting: %${verb} does not fit the argument`);
}

function real(value: unknown, verb: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  throw new TypeError(`error during formatting: %${verb} needs a number`);
}

function formatOne(verb: string, precision: number, value: unknown): string {
  switch (verb) {
    case 's':
      return plain(value);
    case 'd':
      return typeof value === 'number' ? plain(value) : inBase(value, 10, verb);
    case 'f':
      return real(value, verb).toFixed(precision);
    case 'e':
      return real(value, verb).toExponential(precision);
    case 'b':
      return inBase(value, 2, verb);
    case 'o':
      return inBase(value, 8, verb);
    case 'x':
      return inBase(value, 16, verb);
    case 'X':
      return inBase(value, 16, verb).toUpperCase();
    default:
      throw new TypeError(`error during formatting: unrecognized formatting clause "${verb}"`);
  }
}

export function formatText(template: string, values: readonly unknown[]): string {
  charge(weigh(template) + weigh(values));
  let next = 0;
  return template.replaceAll(/%(?:%|(?:\.(\d{1,2}))?(.?))/gs, (found: string, precision: string | undefined, verb: string | undefined) => {
    if (found === '%%') return '%';
    if (next >= values.length) throw new RangeError(`error during formatting: index ${next} out of range`);
    next += 1;
    return formatOne(verb ?? '', Number(precision ?? 6), values[next - 1]);
  });
}
