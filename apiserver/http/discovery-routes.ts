import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { ResourceCatalogue, ResourceDefinition } from '../registry/resource.ts';
import type { Answer } from './answer.ts';
import { answerWith, pageNotFound } from './answer.ts';
import { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList, apiVersions } from './discovery.ts';
import { negotiatePlain, parseAccept } from './negotiate.ts';

/** Answers `/api` and `/apis` and what lies right below them; each document is made once for each state of the catalogue. */
export class DiscoveryRoutes {
  readonly #catalogue: ResourceCatalogue;
  readonly #serverAddress: () => string;
  #generation = -1;
  #documents = new Map<string, Answer>();

  /** `serverAddress` answers `host:port`, as clients are told to reach this server. */
  constructor(catalogue: ResourceCatalogue, serverAddress: () => string) {
    this.#catalogue = catalogue;
    this.#serverAddress = serverAddress;
  }

  /** Undefined when the path is not about discovery. */
  answer(path: string, headers: IncomingHttpHeaders): Answer | undefined {
    const segments = path.split('/').filter((segment) => segment !== '');
    const [prefix] = segments;
    if ((prefix !== 'api' && prefix !== 'apis') || segments.length > 3) return undefined;
    const version = segments.length === 1 ? aggregatedVersion(headers.accept) : undefined;
    if (version !== undefined) return this.#aggregated(version, prefix, headers['if-none-match']);
    const body = this.#legacy(segments);
    if (body === undefined) return pageNotFound();
    return { ...answerWith(200, body, negotiatePlain(headers.accept)), headers: { vary: 'Accept' } };
  }

  #definitions(): ResourceDefinition[] {
    return this.#catalogue.all().map((operations) => operations.definition);
  }

  #legacy(segments: readonly string[]): object | undefined {
    const [prefix, first = '', second] = segments;
    const definitions = this.#definitions();
    if (prefix === 'api') {
      if (segments.length === 1) return apiVersions(this.#serverAddress());
      return segments.length === 2 ? apiResourceList({ group: '', version: first }, definitions) : undefined;
    }
    if (segments.length === 1) return apiGroupList(definitions);
    return second === undefined ? apiGroup(first, definitions) : apiResourceList({ group: first, version: second }, definitions);
  }

  #aggregated(version: 'v2' | 'v2beta1', prefix: 'api' | 'apis', ifNoneMatch: string | undefined): Answer {
    if (this.#generation !== this.#catalogue.generation) {
      this.#generation = this.#catalogue.generation;
      this.#documents = new Map();
    }
    const key = `${prefix} ${version}`;
    const document = this.#documents.get(key) ?? this.#build(version, prefix);
    this.#documents.set(key, document);
    return ifNoneMatch !== undefined && ifNoneMatch === document.headers?.['etag']
      ? { ...document, code: 304, body: Buffer.alloc(0) }
      : document;
  }

  #build(version: 'v2' | 'v2beta1', prefix: 'api' | 'apis'): Answer {
    const contentType = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    const answer = answerWith(200, aggregatedDiscovery(version, prefix, this.#definitions()), 'json', contentType);
    const etag = `"${createHash('sha512').update(answer.body).digest('hex').toUpperCase()}"`;
    return { ...answer, headers: { etag, vary: 'Accept', 'cache-control': 'public' } };
  }
}

function aggregatedVersion(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of parseAccept(accept)) {
    const version = parameters.get('v');
    if (parameters.get('as') === 'APIGroupDiscoveryList' && parameters.get('g') === 'apidiscovery.k8s.io') {
      if (type === 'application/json' && (version === 'v2' || version === 'v2beta1')) return version;
    } else if (type === 'application/json' || type === '*/*') return undefined;
  }
  return undefined;
}
