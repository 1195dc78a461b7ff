import { createHash } from 'node:crypto';
import type { ResourceCatalogue, ResourceDefinition } from '../registry/resource.ts';
import type { Answer } from './answer.ts';
import { answerWith, pageNotFound } from './answer.ts';
import type { GroupVersion } from './discovery.ts';
import { groupVersionsOf } from './discovery.ts';
import { parseAccept } from './negotiate.ts';
import { encodeOpenApiV2 } from './openapi-v2-protobuf.ts';
import { openApiV2Document } from './openapi-v2.ts';
import { documentPath, openApiV3Document } from './openapi-v3.ts';

/** The first is what clients ask for, but no valid media type: they could not read it in an answer. */
const protobufTypes = [
  'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
] as const;
const yearSeconds = 365 * 24 * 3600;

interface HashedDocument {
  answer: Answer;
  hash: string;
}

/** Answers `/openapi/v2`, `/openapi/v3` and what lies below; each document is made when first asked for after the catalogue changed. */
export class OpenApiRoutes {
  readonly #catalogue: ResourceCatalogue;
  #generation = -1;
  #documents = new Map<string, HashedDocument>();

  constructor(catalogue: ResourceCatalogue) {
    this.#catalogue = catalogue;
  }

  /** Undefined when the path is not about OpenAPI. */
  answer(
    path: string,
    query: URLSearchParams,
    headers: { accept?: string | undefined; ifNoneMatch?: string | undefined },
  ): Answer | undefined {
    if (!path.startsWith('/openapi/')) return undefined;
    if (this.#generation !== this.#catalogue.generation) {
      this.#generation = this.#catalogue.generation;
      this.#documents = new Map();
    }
    const wanted = path.replace(/^\/openapi\//u, '').replace(/\/$/u, '');
    if (wanted === 'v2') return this.#version2(headers);
    if (wanted === 'v3') return answerWith(200, this.#index());
    const groupVersion = groupVersionsOf(this.#definitions()).find((each) => `v3/${documentPath(each)}` === wanted);
    return groupVersion === undefined ? pageNotFound() : this.#version3(groupVersion, query.get('hash'), headers.ifNoneMatch);
  }

  #definitions(): ResourceDefinition[] {
    return this.#catalogue.all().map((operations) => operations.definition);
  }

  #index(): object {
    const entries = groupVersionsOf(this.#definitions()).map((groupVersion) => {
      const { hash } = this.#document3(groupVersion);
      return [documentPath(groupVersion), { serverRelativeURL: serverRelativeUrl(groupVersion, hash) }];
    });
    return { paths: Object.fromEntries(entries) as object };
  }

  #version3(groupVersion: GroupVersion, hash: string | null, ifNoneMatch: string | undefined): Answer {
    const document = this.#document3(groupVersion);
    if (hash === null) return conditional(document, ifNoneMatch);
    if (hash !== document.hash) {
      return {
        code: 301,
        contentType: 'text/plain',
        body: Buffer.alloc(0),
        headers: { location: serverRelativeUrl(groupVersion, document.hash) },
      };
    }
    return conditional(document, ifNoneMatch, { 'cache-control': `public, immutable, max-age=${yearSeconds}` });
  }

  #document3(groupVersion: GroupVersion): HashedDocument {
    return this.#kept(documentPath(groupVersion), () => answerWith(200, openApiV3Document(groupVersion, this.#definitions())));
  }

  #version2({ accept, ifNoneMatch }: { accept?: string | undefined; ifNoneMatch?: string | undefined }): Answer {
    const wantsProtobuf = protobufTypes.some((type) => type === parseAccept(accept)[0]?.type);
    const document = this.#kept(wantsProtobuf ? 'v2 protobuf' : 'v2 json', () => {
      const swagger = openApiV2Document(this.#definitions());
      return wantsProtobuf ? { code: 200, contentType: protobufTypes[1], body: encodeOpenApiV2(swagger) } : answerWith(200, swagger);
    });
    return conditional(document, ifNoneMatch);
  }

  #kept(key: string, make: () => Answer): HashedDocument {
    const kept = this.#documents.get(key);
    if (kept !== undefined) return kept;
    const answer = make();
    const document = { answer, hash: createHash('sha512').update(answer.body).digest('hex').toUpperCase() };
    this.#documents.set(key, document);
    return document;
  }
}

function serverRelativeUrl(groupVersion: GroupVersion, hash: string): string {
  return `/openapi/v3/${documentPath(groupVersion)}?hash=${hash}`;
}

function conditional({ answer, hash }: HashedDocument, ifNoneMatch: string | undefined, more: Record<string, string> = {}): Answer {
  const etag = `"${hash}"`;
  const headers = { etag, vary: 'Accept', ...more };
  return ifNoneMatch === etag ? { ...answer, code: 304, body: Buffer.alloc(0), headers } : { ...answer, headers };
}
