/** IP addresses and ranges as numbers, read as strictly as Go's `net/netip` does. */
import { isIPv4, isIPv6 } from 'node:net';

export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface IpRange {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

export function bitsOf(address: IpAddress): number {
  return address.family === 4 ? 32 : 128;
}

function parseGroups(text: string): bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}

function parseIPv6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const [, head = '', tail = ''] = dotted ?? [];
  const last = dotted === null ? undefined : parseIPv4(tail);
  const hex = last === undefined ? text : `${head}${(last >> 16n).toString(16)}:${(last & 0xffffn).toString(16)}`;
  const [left = '', right] = hex.split('::');
  const start = parseGroups(left);
  const end = right === undefined ? [] : parseGroups(right);
  const zeros = Array<bigint>(8 - start.length - end.length).fill(0n);
  return [...start, ...zeros, ...end].reduce((value, group) => (value << 16n) | group, 0n);
}

function parseIPv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

/** @throws {Error} with Kubernetes' text. Zones and IPv4 in IPv6 are refused. */
export function parseIp(text: string): IpAddress {
  if (isIPv4(text)) return { family: 4, value: parseIPv4(text) };
  if (!isIPv6(text))
    throw new TypeError(`IP Address ${JSON.stringify(text)} parse error during conversion from string: unable to parse IP`);
  if (text.includes('%')) throw new TypeError(`IP address ${JSON.stringify(text)} with zone value is not allowed`);
  const value = parseIPv6(text);
  if (value >> 32n === 0xffffn) throw new TypeError(`IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`);
  return { family: 6, value };
}

export function parseRange(text: string): IpRange {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const [, address = '', prefix = ''] = match ?? [];
  const wrong = new TypeError(`network address parse error during conversion from string: ${JSON.stringify(text)} is no CIDR`);
  if (match === null) throw wrong;
  const ip = parseIp(address);
  if (Number(prefix) > bitsOf(ip)) throw wrong;
  return { address: ip, prefixLength: Number(prefix) };
}

export function maskRange({ address, prefixLength }: IpRange): IpRange {
  const shift = BigInt(bitsOf(address) - prefixLength);
  return { address: { family: address.family, value: (address.value >> shift) << shift }, prefixLength };
}

export function rangeContains(range: IpRange, address: IpAddress): boolean {
  const shift = BigInt(bitsOf(range.address) - range.prefixLength);
  return range.address.family === address.family && range.address.value >> shift === address.value >> shift;
}

/** RFC 5952 for IPv6. */
export function formatIp({ family, value }: IpAddress): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => (value >> BigInt(112 - 16 * index)) & 0xffffn);
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = Array.from(text.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g), ([run]) => run);
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return text;
  const at = text.search(new RegExp(`(?<![0-9a-f])${longest}(?![0-9a-f])`));
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`;
}
