/** URLs as Go's `url.ParseRequestURI` reads them: absolute, or a path that starts with a slash. Nothing is normalized. */

export interface ParsedUrl {
  readonly text: string;
  readonly scheme: string;
  /** With the port, if there is one. */
  readonly host: string;
  /** Without brackets. */
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, readonly string[]>;
}

const urlExpression = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):(?:\/\/(?:[^/?@]*@)?((\[[^\]]*\]|[^/?:[\]]*)(?::(\d*))?))?)?([^?]*)(?:\?(.*))?$/s;

function parseQuery(text: string): Map<string, string[]> {
  const query = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(text)) query.set(key, [...(query.get(key) ?? []), value]);
  return query;
}

/** @throws {Error} when it is neither absolute nor a path. */
export function parseUrl(text: string): ParsedUrl {
  const wrong = new TypeError(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`);
  const match = urlExpression.exec(text);
  if (match === null || /[\s\p{Cc}]/u.test(text) || /%(?![0-9a-f]{2})/i.test(text)) throw wrong;
  const [, scheme = '', host = '', hostname = '', port = '', path = '', query = ''] = match;
  if (scheme === '' && !path.startsWith('/')) throw wrong;
  if (host !== '' && path !== '' && !path.startsWith('/')) throw wrong;
  return {
    text,
    scheme: scheme.toLowerCase(),
    host,
    hostname: hostname.replace(/^\[(.*)\]$/s, '$1'),
    port,
    path,
    query: parseQuery(query),
  };
}
