/** Names of images as Docker reads them (`distribution/reference`): `debian:12` is `docker.io/library/debian:12`. Pure. */

export interface ImageReference {
  /** Host, with its port where one is written: `docker.io`, `127.0.0.1:5000`. */
  registry: string;
  /** `library/debian`. */
  repository: string;
  tag?: string;
  /** `sha256:…`. */
  digest?: string;
}

const defaultRegistry = 'docker.io';

/** Reads a reference of the form that the CRD lets through; what it means is for the registry to say. */
export function parseImageReference(text: string): ImageReference {
  const [beforeDigest = '', digest] = text.split('@', 2);
  const slash = beforeDigest.indexOf('/');
  const first = slash === -1 ? '' : beforeDigest.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const rest = isHost ? beforeDigest.slice(slash + 1) : beforeDigest;
  const colon = rest.lastIndexOf(':');
  const hasTag = colon > rest.lastIndexOf('/');
  const path = hasTag ? rest.slice(0, colon) : rest;
  const registry = isHost && first !== 'index.docker.io' ? first : defaultRegistry;
  return {
    registry,
    repository: registry === defaultRegistry && !path.includes('/') ? `library/${path}` : path,
    ...(hasTag ? { tag: rest.slice(colon + 1) } : {}),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The image's name without tag and digest, as it is written: `127.0.0.1:5000/a/b`. */
function writtenName(text: string): string {
  const beforeDigest = text.split('@', 1)[0] ?? '';
  const colon = beforeDigest.lastIndexOf(':');
  return colon > beforeDigest.lastIndexOf('/') ? beforeDigest.slice(0, colon) : beforeDigest;
}

/** The same image by its digest, whatever becomes of its tag. */
export function pinnedReference(text: string, digest: string): string {
  return `${writtenName(text)}@${digest}`;
}

/**
 * The digest under which a registry has what `text` names.
 *
 * @param digests `name@sha256:…`, as an engine knows them; empty for an image that came from no registry
 */
export function digestOf(text: string, digests: readonly string[]): string | undefined {
  const wanted = parseImageReference(text);
  for (const known of digests) {
    const { registry, repository, digest } = parseImageReference(known);
    if (registry === wanted.registry && repository === wanted.repository) return digest;
  }
  return undefined;
}
