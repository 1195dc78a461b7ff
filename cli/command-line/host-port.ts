import { isIPv6 } from 'node:net';
import { UserError } from '../../api/errors.ts';

export interface HostPort {
  host: string;
  /** 0: any free one. */
  port: number;
}

/** Reads `host:port`, `[ipv6]:port` or `:port` (every address of the machine). */
export function parseHostPort(flag: string, text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) {
    throw new UserError(
      'BAD_ARGUMENT',
      `--${flag} ${JSON.stringify(text)} is not HOST:PORT`,
      'For example 0.0.0.0:6443, [::1]:6443 or 127.0.0.1:0',
    );
  }
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' ? '0.0.0.0' : host, port };
}

/** The inverse of {@link parseHostPort}. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
