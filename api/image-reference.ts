/** References to images, and the patterns by which owners allow or refuse them. Pure; the scheduler and the agent share it. */

export interface ImageReference {
  /** For example `docker.io/library/debian`. */
  repository: string;
  /** `latest` where the reference has neither tag nor digest. */
  tag?: string;
  /** For example `sha256:…`. */
  digest?: string;
}

/** As Docker reads them: without a registry it is docker.io, and there a name without a slash is in `library/`. */
export function parseImageReference(text: string): ImageReference {
  const [withoutDigest = '', digest] = text.split('@', 2);
  const colon = withoutDigest.lastIndexOf(':');
  const hasTag = colon > withoutDigest.lastIndexOf('/');
  const repository = fullRepository(hasTag ? withoutDigest.slice(0, colon) : withoutDigest);
  const tag = hasTag ? withoutDigest.slice(colon + 1) : digest === undefined ? 'latest' : undefined;
  return { repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

function fullRepository(name: string): string {
  const [first = '', ...rest] = name.split('/');
  // `**` only in patterns.
  const hasRegistry = rest.length > 0 && (first.includes('.') || first.includes(':') || first === 'localhost' || first === '**');
  if (!hasRegistry) return `docker.io/${rest.length === 0 ? `library/${name}` : name}`;
  // Docker's own other names for itself.
  if (first !== 'index.docker.io' && first !== 'registry-1.docker.io' && first !== 'docker.io') return name;
  return `docker.io/${rest.length === 1 ? `library/${rest[0] ?? ''}` : rest.join('/')}`;
}

/**
 * Whether the image is one that the pattern means. A pattern is a reference (`debian`, `ghcr.io/acme/tool:v1`, `debian@sha256:…`), made whole as
 * references are, but without a tag or digest it means all of them. `*` stands for any characters but a slash, `**` for any at all:
 * `debian:12*`, `ghcr.io/acme/*`, `ghcr.io/**`. A bare `*` means every image of Docker's library, `**` every image.
 */
export function matchesImage(pattern: string, image: string): boolean {
  if (pattern === '**') return true;
  const wanted = patternParts(pattern);
  const { repository, tag, digest } = parseImageReference(image);
  if (!matchesWildcards(wanted.repository, repository)) return false;
  if (wanted.digest !== undefined) return digest !== undefined && matchesWildcards(wanted.digest, digest);
  // With a digest beside it a tag is only a comment: what runs is the digest.
  return wanted.tag === undefined || (digest === undefined && tag !== undefined && matchesWildcards(wanted.tag, tag));
}

function patternParts(pattern: string): ImageReference {
  const { repository, tag, digest } = parseImageReference(pattern);
  const statesTag =
    pattern
      .split('@', 1)[0]
      ?.slice(pattern.lastIndexOf('/') + 1)
      .includes(':') === true;
  return { repository, ...(statesTag && tag !== undefined ? { tag } : {}), ...(digest === undefined ? {} : { digest }) };
}

/** Without regular expressions, so that no pattern can be slow: keeps every place in the text that the pattern may have reached. */
function matchesWildcards(pattern: string, text: string): boolean {
  let reached = new Set([0]);
  for (const token of pattern.match(/\*\*|\*|[^*]/g) ?? []) {
    const next = new Set<number>();
    for (const position of reached) {
      if (!token.startsWith('*')) {
        if (text[position] === token) next.add(position + 1);
        continue;
      }
      for (let end = position; end <= text.length && !next.has(end); end += 1) {
        next.add(end);
        if (token === '*' && text[end] === '/') break;
      }
    }
    reached = next;
  }
  return reached.has(text.length);
}
