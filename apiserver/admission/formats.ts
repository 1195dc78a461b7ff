/** String formats that Kubernetes checks in custom resources (kube-openapi `strfmt`). Unknown formats are not checked. */
import { isIPv4, isIPv6 } from 'node:net';

const dateExpression = /^(\d{4})-(\d{2})-(\d{2})$/;
const timeExpression = /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:[.,]\d+)?(?:z|[+-]\d{2}:\d{2})$/;
const uuidExpression = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const base64Expression = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})?$/;
const hostnamePart = /^[a-zA-Z0-9\u00a1-\uffff](?:[-a-zA-Z0-9\u00a1-\uffff]{0,62}[a-zA-Z0-9\u00a1-\uffff])?$/;
const emailExpression = /^[^\s@<>()[\],;:\\"]{1,64}@[^\s@<>()[\],;:\\"]{1,255}$/;
const macExpression = /^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})$/i;
const hexColorExpression = /^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/;
const rgbColorExpression = /^rgb\(\s*(?:(?:[01]?\d{1,2}|2[0-4]\d|25[0-5])\s*(?:,\s*|(?=\)))){3}\)$/;
const goDurationExpression = /^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const wordDurationExpression =
  /^(?:\d+\s*(?:nanoseconds?|ns|microseconds?|us|milliseconds?|ms|seconds?|s|minutes?|m|hours?|h|days?|d|weeks?|wk?)\s*)+$/i;

function isDate(text: string): boolean {
  const match = dateExpression.exec(text);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

function isDateTime(text: string): boolean {
  const lower = text.toLowerCase();
  const at = lower.indexOf('t');
  return at > 0 && isDate(lower.slice(0, at)) && timeExpression.test(lower.slice(at + 1));
}

/** Go's durations, and `3 days`. */
export function isDuration(text: string): boolean {
  return goDurationExpression.test(text) || wordDurationExpression.test(text);
}

function isUuid(version: string | undefined): (text: string) => boolean {
  return (text) => uuidExpression.test(text) && (version === undefined || text.replaceAll('-', '').charAt(12) === version);
}

function isCidr(text: string): boolean {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  if (match === null) return false;
  const [, address = '', bits = ''] = match;
  if (isIPv4(address)) return Number(bits) <= 32;
  return isIPv6(address) && Number(bits) <= 128;
}

function isUri(text: string): boolean {
  return text.startsWith('/') ? URL.canParse(text, 'http://host') : URL.canParse(text);
}

function isHostname(text: string): boolean {
  return (
    text.length > 0 &&
    text.length <= 255 &&
    text
      .replace(/\.$/, '')
      .split('.')
      .every((part) => hostnamePart.test(part))
  );
}

function digitSum(digits: string, weight: (index: number) => number): number {
  return Array.from(digits).reduce((sum, digit, index) => sum + Number(digit) * weight(index), 0);
}

function isIsbn10(text: string): boolean {
  const digits = text.replaceAll(/[\s-]/g, '');
  if (!/^\d{9}[\dX]$/.test(digits)) return false;
  const last = digits.endsWith('X') ? 10 : Number(digits.slice(9));
  return (digitSum(digits.slice(0, 9), (index) => 10 - index) + last) % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.replaceAll(/[\s-]/g, '');
  return /^\d{13}$/.test(digits) && digitSum(digits, (index) => (index % 2 === 0 ? 1 : 3)) % 10 === 0;
}

function isCreditCard(text: string): boolean {
  const digits = text.replaceAll(/\D/g, '');
  if (digits.length < 12 || digits.length > 19) return false;
  const doubled = Array.from(digits)
    .reverse()
    .map((digit, index) => (index % 2 === 0 ? Number(digit) : ((Number(digit) * 2 - 1) % 9) + 1));
  return doubled.reduce((sum, digit) => sum + digit, 0) % 10 === 0;
}

const checks: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['bsonobjectid', (text) => /^[0-9a-fA-F]{24}$/.test(text)],
  ['uri', isUri],
  ['email', (text) => emailExpression.test(text)],
  ['hostname', isHostname],
  ['ipv4', isIPv4],
  ['ipv6', isIPv6],
  ['cidr', isCidr],
  ['mac', (text) => macExpression.test(text)],
  ['uuid', isUuid(undefined)],
  ['uuid3', isUuid('3')],
  ['uuid4', isUuid('4')],
  ['uuid5', isUuid('5')],
  ['isbn', (text) => isIsbn10(text) || isIsbn13(text)],
  ['isbn10', isIsbn10],
  ['isbn13', isIsbn13],
  ['creditcard', isCreditCard],
  ['ssn', (text) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text)],
  ['hexcolor', (text) => hexColorExpression.test(text)],
  ['rgbcolor', (text) => rgbColorExpression.test(text)],
  ['byte', (text) => base64Expression.test(text)],
  ['date', isDate],
  ['duration', isDuration],
  ['date-time', isDateTime],
  ['datetime', isDateTime],
]);

/** The check of a format, or undefined where there is none. */
export function formatCheck(format: string): ((text: string) => boolean) | undefined {
  return checks.get(format);
}
