/** The patterns by which owners allow or refuse images. Pure; the scheduler and the agent share it. */
import { parseImageReference } from './image-reference.ts';

/**
 * Whether the image is one that the pattern means. A pattern is a reference (`debian`, `ghcr.io/acme/tool:v1`, `debian@sha256:…`), made whole as
 * references are, but without a tag or digest it means all of them. `*` stands for any characters but a slash, `**` for any at all:
 * `debian:12*`, `ghcr.io/acme/*`, `ghcr.io/**`. A bare `*` means every image of Docker's library, `**` every image.
 */
export function matchesImage(pattern: string, image: string): boolean {
  if (pattern === '**') return true;
  const wanted = patternParts(pattern);
  const { repository, tag: written, digest } = partsOf(image);
  const tag = written ?? 'latest';
  if (!matchesWildcards(wanted.repository, repository)) return false;
  if (wanted.digest !== undefined) return digest !== undefined && matchesWildcards(wanted.digest, digest);
  // With a digest beside it a tag is only a comment: what runs is the digest.
  return wanted.tag === undefined || (digest === undefined && matchesWildcards(wanted.tag, tag));
}

interface Parts {
  /** With its registry: `docker.io/library/debian`. */
  repository: string;
  /** Only what is written. */
  tag?: string | undefined;
  digest?: string | undefined;
}

function partsOf(text: string): Parts {
  const { registry, repository, tag, digest } = parseImageReference(text);
  return { repository: `${registry}/${repository}`, tag, digest };
}

/** A pattern that begins with `**` also leaves the registry open. */
function patternParts(pattern: string): Parts {
  if (!pattern.startsWith('**/')) return partsOf(pattern);
  const { repository, tag, digest } = parseImageReference(`x.invalid/${pattern}`);
  return { repository, tag, digest };
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
