/** Kubernetes' CEL libraries for IP addresses, CIDRs and URLs (`k8s.io/apiserver/pkg/cel/library/{ip,cidr,urls}.go`). */
import type { Environment } from '@marcbachmann/cel-js';
import { bitsOf, formatIp, maskRange, parseIp, parseRange, rangeContains } from './ip-address.ts';
import type { IpAddress, IpRange } from './ip-address.ts';
import { parseUrl } from './parse-url.ts';
import type { ParsedUrl } from './parse-url.ts';

class CelIp {
  readonly address: IpAddress;
  constructor(address: IpAddress) {
    this.address = address;
  }
}

class CelCidr {
  readonly range: IpRange;
  constructor(range: IpRange) {
    this.range = range;
  }
}

class CelUrl {
  readonly parts: ParsedUrl;
  constructor(parts: ParsedUrl) {
    this.parts = parts;
  }
}

class IpNamespace {
  readonly name = 'ip';
}

const ipType = 'net.IP';
const cidrType = 'net.CIDR';
const urlType = 'kubernetes.URL';
const sync = { async: false };

function succeeds(parse: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
}

function within(...ranges: string[]): (ip: CelIp) => boolean {
  const parsed = ranges.map(parseRange);
  return ({ address }) => parsed.some((range) => rangeContains(range, address));
}

const isUnspecified = within('0.0.0.0/32', '::/128');
const isLoopback = within('127.0.0.0/8', '::1/128');
const isLinkLocalMulticast = within('224.0.0.0/24', 'ff02::/16');
const isLinkLocalUnicast = within('169.254.0.0/16', 'fe80::/10');
const isMulticast = within('224.0.0.0/4', 'ff00::/8');
const isBroadcast = within('255.255.255.255/32');

function isGlobalUnicast(ip: CelIp): boolean {
  return ![isUnspecified, isLoopback, isMulticast, isLinkLocalUnicast, isBroadcast].some((test) => test(ip));
}

export function registerIps(environment: Environment): void {
  environment
    .registerType(ipType, { ctor: CelIp, fields: {} })
    .registerType('IpNamespace', IpNamespace)
    .registerConstant('ip', 'IpNamespace', new IpNamespace())
    .registerFunction(`ip(string): ${ipType}`, (text: string) => new CelIp(parseIp(text)), sync)
    .registerFunction('isIP(string): bool', succeeds(parseIp), sync)
    .registerFunction('IpNamespace.isCanonical(string): bool', (_: unknown, text: string) => formatIp(parseIp(text)) === text, sync)
    .registerFunction(`string(${ipType}): string`, ({ address }: CelIp) => formatIp(address), sync)
    .registerFunction(`${ipType}.family(): int`, ({ address }: CelIp) => BigInt(address.family), sync)
    .registerFunction(`${ipType}.isUnspecified(): bool`, isUnspecified, sync)
    .registerFunction(`${ipType}.isLoopback(): bool`, isLoopback, sync)
    .registerFunction(`${ipType}.isLinkLocalMulticast(): bool`, isLinkLocalMulticast, sync)
    .registerFunction(`${ipType}.isLinkLocalUnicast(): bool`, isLinkLocalUnicast, sync)
    .registerFunction(`${ipType}.isGlobalUnicast(): bool`, isGlobalUnicast, sync)
    .registerOperator(`${ipType} == ${ipType}`, (a: CelIp, b: CelIp) => formatIp(a.address) === formatIp(b.address));
}

function formatRange({ address, prefixLength }: IpRange): string {
  return `${formatIp(address)}/${prefixLength}`;
}

function containsRange(outer: IpRange, inner: IpRange): boolean {
  return outer.prefixLength <= inner.prefixLength && rangeContains(outer, inner.address);
}

export function registerCidrs(environment: Environment): void {
  environment
    .registerType(cidrType, { ctor: CelCidr, fields: {} })
    .registerFunction(`cidr(string): ${cidrType}`, (text: string) => new CelCidr(parseRange(text)), sync)
    .registerFunction('isCIDR(string): bool', succeeds(parseRange), sync)
    .registerFunction(`string(${cidrType}): string`, ({ range }: CelCidr) => formatRange(range), sync)
    .registerFunction(
      `${cidrType}.containsIP(string): bool`,
      ({ range }: CelCidr, text: string) => rangeContains(range, parseIp(text)),
      sync,
    )
    .registerFunction(`${cidrType}.containsIP(${ipType}): bool`, ({ range }: CelCidr, ip: CelIp) => rangeContains(range, ip.address), sync)
    .registerFunction(
      `${cidrType}.containsCIDR(string): bool`,
      ({ range }: CelCidr, text: string) => containsRange(range, parseRange(text)),
      sync,
    )
    .registerFunction(
      `${cidrType}.containsCIDR(${cidrType}): bool`,
      ({ range }: CelCidr, other: CelCidr) => containsRange(range, other.range),
      sync,
    )
    .registerFunction(`${cidrType}.ip(): ${ipType}`, ({ range }: CelCidr) => new CelIp(range.address), sync)
    .registerFunction(`${cidrType}.masked(): ${cidrType}`, ({ range }: CelCidr) => new CelCidr(maskRange(range)), sync)
    .registerFunction(
      `${cidrType}.prefixLength(): int`,
      ({ range }: CelCidr) => BigInt(Math.min(range.prefixLength, bitsOf(range.address))),
      sync,
    )
    .registerOperator(`${cidrType} == ${cidrType}`, (a: CelCidr, b: CelCidr) => formatRange(a.range) === formatRange(b.range));
}

export function registerUrls(environment: Environment): void {
  environment
    .registerType(urlType, { ctor: CelUrl, fields: {} })
    .registerFunction(`url(string): ${urlType}`, (text: string) => new CelUrl(parseUrl(text)), sync)
    .registerFunction('isURL(string): bool', succeeds(parseUrl), sync)
    .registerFunction(`${urlType}.getScheme(): string`, ({ parts }: CelUrl) => parts.scheme, sync)
    .registerFunction(`${urlType}.getHost(): string`, ({ parts }: CelUrl) => parts.host, sync)
    .registerFunction(`${urlType}.getHostname(): string`, ({ parts }: CelUrl) => parts.hostname, sync)
    .registerFunction(`${urlType}.getPort(): string`, ({ parts }: CelUrl) => parts.port, sync)
    .registerFunction(`${urlType}.getEscapedPath(): string`, ({ parts }: CelUrl) => parts.path, sync)
    .registerFunction(`${urlType}.getQuery(): map<string, list<string>>`, ({ parts }: CelUrl) => parts.query, sync)
    .registerOperator(`${urlType} == ${urlType}`, (a: CelUrl, b: CelUrl) => a.parts.text === b.parts.text);
}
