/**
 * Kubernetes quantities (`500m`, `1.5Gi`, `1e3`), exact. Follows `resource.Quantity` of k8s.io/apimachinery: three suffix families, a
 * resolution of 10⁻⁹ (finer amounts are rounded away from zero), and its canonical form.
 */

/** `BinarySI`: Ki, Mi… `DecimalSI`: m, k, M… `DecimalExponent`: e3, E6. */
export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent';

/** An amount in billionths of its unit, with the family of suffixes that it is written in. Compare with {@link compareQuantities}, not `===`. */
export interface Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

/** A text that is no quantity. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

/** Longest text that is read, in characters; Kubernetes has no bound. */
const maxTextLength = 64;
/** Greatest exponent that is read; beyond it no amount makes sense. */
const maxExponent = 100;
const nanosPerUnit = 1_000_000_000n;
/** Kubernetes caps what does not fit its 64-bit fast path. */
const maxAmount = (2n ** 63n - 1n) * nanosPerUnit;

const decimalSuffixes = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
]);
const decimalSuffixOf = new Map([...decimalSuffixes].map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

const wrongFormat = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

interface Suffix {
  format: QuantityFormat;
  base: 2 | 10;
  exponent: number;
}

function readSuffix(text: string): Suffix {
  const decimal = decimalSuffixes.get(text);
  if (decimal !== undefined) return { format: 'DecimalSI', base: 10, exponent: decimal };
  const binary = binarySuffixes.indexOf(text);
  if (binary > 0) return { format: 'BinarySI', base: 2, exponent: binary * 10 };
  const exponent = /^[eE]([+-]?[0-9]+)$/.exec(text);
  if (exponent === null) throw new QuantityError("unable to parse quantity's suffix");
  const value = Number(exponent[1]);
  if (Math.abs(value) > maxExponent) throw new QuantityError(`the exponent of a quantity must be from -${maxExponent} to ${maxExponent}`);
  return { format: 'DecimalExponent', base: 10, exponent: value };
}

/** Divides, rounding away from zero. */
function divideUp(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (value % divisor === 0n) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

function scaled(digits: bigint, exponent: number): bigint {
  return exponent >= 0 ? digits * 10n ** BigInt(exponent) : divideUp(digits, 10n ** BigInt(-exponent));
}

/** Whether Kubernetes keeps the amount in 64 bits, where no cap applies. */
function fitsFastPath(suffix: Suffix, whole: string, fraction: string): boolean {
  const wholeDigits = whole.replace(/^0+/, '').length;
  if (suffix.base === 10) return wholeDigits + fraction.length <= 18 && suffix.exponent - fraction.length >= -9;
  return fraction === '' && 15 - wholeDigits - Math.trunc((suffix.exponent * 3) / 10) - 1 >= 0;
}

interface QuantityParts {
  negative: boolean;
  whole: string;
  fraction: string;
  suffix: Suffix;
}

function splitQuantity(text: string): QuantityParts {
  if (text.length > maxTextLength) throw new QuantityError(`a quantity must be at most ${maxTextLength} characters`);
  const match = /^(?<sign>[+-]?)(?<whole>[0-9]*)(?:\.(?<fraction>[0-9]*))?(?<suffix>[eEinumkKMGTP]*[-+]?[0-9]*)$/.exec(text);
  const groups: Record<string, string | undefined> = match?.groups ?? {};
  const { sign, whole = '', fraction = '', suffix = '' } = groups;
  if (whole === '' && fraction === '') throw new QuantityError(wrongFormat);
  return { negative: sign === '-', whole, fraction, suffix: readSuffix(suffix) };
}

/**
 * Reads a quantity; a number is read as it would be written in JSON.
 * @throws {QuantityError} with Kubernetes' text when it is none.
 */
export function parseQuantity(text: string | number): Quantity {
  const { negative, whole, fraction, suffix } = splitQuantity(String(text));
  const digits = BigInt(whole + fraction);
  let nanos =
    suffix.base === 10
      ? scaled(digits, suffix.exponent - fraction.length + 9)
      : scaled(digits * 2n ** BigInt(suffix.exponent), 9 - fraction.length);
  if (nanos > maxAmount && !fitsFastPath(suffix, whole, fraction)) nanos = maxAmount;
  // Kubernetes avoids binary suffixes below one unit.
  const format = suffix.format === 'BinarySI' && nanos > 0n && nanos < nanosPerUnit ? 'DecimalSI' : suffix.format;
  return { nanos: negative ? -nanos : nanos, format };
}

/** Whether {@link parseQuantity} would read it. */
export function isQuantity(text: string | number): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

/** Negative when a < b, 0 when they are the same amount, positive when a > b. */
export function compareQuantities(a: Quantity, b: Quantity): -1 | 0 | 1 {
  if (a.nanos === b.nanos) return 0;
  return a.nanos < b.nanos ? -1 : 1;
}

/** The sum, written like `a`, or like `b` when `a` is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** The difference, written like `a`, or like `b` when `a` is zero. */
export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos - b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

export function isZeroQuantity(quantity: Quantity): boolean {
  return quantity.nanos === 0n;
}

/** -1, 0 or 1. */
export function signOfQuantity(quantity: Quantity): -1 | 0 | 1 {
  if (quantity.nanos === 0n) return 0;
  return quantity.nanos < 0n ? -1 : 1;
}

/** Whether the amount has no fraction. */
export function isWholeQuantity(quantity: Quantity): boolean {
  return quantity.nanos % nanosPerUnit === 0n;
}

/** The amount in units, as near as a double is. */
export function quantityToNumber(quantity: Quantity): number {
  if (isWholeQuantity(quantity)) return Number(quantity.nanos / nanosPerUnit);
  return Number(quantity.nanos) / 1e9;
}

/** The amount in units, rounded up to a whole one, exact. */
export function ceilQuantity(quantity: Quantity): bigint {
  const whole = quantity.nanos / nanosPerUnit;
  return quantity.nanos > 0n && quantity.nanos % nanosPerUnit !== 0n ? whole + 1n : whole;
}

/** The amount in thousandths, rounded up to a whole one, as Kubernetes counts CPU. */
export function quantityToMillis(quantity: Quantity): number {
  const millis = quantity.nanos / 1_000_000n;
  return Number(quantity.nanos > 0n && quantity.nanos % 1_000_000n !== 0n ? millis + 1n : millis);
}

/** A quantity of whole units, for example bytes. */
export function quantityFromUnits(units: bigint | number, format: QuantityFormat = 'BinarySI'): Quantity {
  return { nanos: BigInt(units) * nanosPerUnit, format };
}

function formatBinary(units: bigint): string {
  let value = units;
  let power = 0;
  while (power < binarySuffixes.length - 1 && value % 1024n === 0n) {
    value /= 1024n;
    power += 1;
  }
  return `${value}${binarySuffixes[power] ?? ''}`;
}

function formatDecimal(nanos: bigint, format: 'DecimalSI' | 'DecimalExponent'): string {
  let value = nanos;
  let exponent = -9;
  while (value % 1000n === 0n && (format === 'DecimalExponent' || exponent < 18)) {
    value /= 1000n;
    exponent += 3;
  }
  if (format === 'DecimalSI') return `${value}${decimalSuffixOf.get(exponent) ?? ''}`;
  return exponent === 0 ? `${value}` : `${value}e${exponent}`;
}

/** Kubernetes' canonical form: no fraction, the greatest suffix of its family that allows that. */
export function formatQuantity(quantity: Quantity): string {
  const { nanos, format } = quantity;
  if (nanos === 0n) return '0';
  if (format !== 'BinarySI') return formatDecimal(nanos, format);
  const units = nanos / nanosPerUnit;
  const small = units > -1024n && units < 1024n;
  return small || !isWholeQuantity(quantity) ? formatDecimal(nanos, 'DecimalSI') : formatBinary(units);
}
