/** `POST serviceaccounts/NAME/token` (Kubernetes' `pkg/registry/core/serviceaccount/storage/token.go`). */
import type { KubernetesObject, ObjectKey } from '../../api/object.ts';
import { invalidValue } from '../admission/field-errors.ts';
import { compileSchema } from '../admission/compile-schema.ts';
import { decodeObject, dropUnknownFields } from '../registry/decode-object.ts';
import { timestamp } from '../registry/object-metadata.ts';
import { unwritten } from '../registry/resource-context.ts';
import type { ResourceCatalogue, ResourceDefinition, StoredObject, WriteOptions } from '../registry/resource.ts';
import { badRequest, conflict, invalid, type FieldError } from '../registry/status-error.ts';
import { reviewDefinition, reviewSchema, specOf } from './reviews/review-resource.ts';
import { signToken, tokenIssuer, type TokenKey, type TokenSubject } from './service-account-tokens.ts';

const defaultSeconds = 3600;
const leastSeconds = 600;
const mostSeconds = 2 ** 32;

const specSchema = {
  audiences: { type: 'array', nullable: true, items: { type: 'string' }, description: 'Whom the token is for; the API itself by default.' },
  expirationSeconds: {
    type: 'integer',
    format: 'int64',
    nullable: true,
    description: 'How long the token is to live; 3600 by default, 600 at least.',
  },
  boundObjectRef: {
    type: 'object',
    nullable: true,
    description: 'A Secret of the same namespace that the token does not outlive.',
    properties: {
      kind: { type: 'string', description: 'Secret' },
      apiVersion: { type: 'string', description: 'API version of the referent.' },
      name: { type: 'string', description: 'Name of the referent.' },
      uid: { type: 'string', description: 'UID of the referent.' },
    },
  },
} as const;

interface TokenRequestSpec {
  audiences?: string[] | null;
  expirationSeconds?: number | null;
  boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string } | null;
}

/** What is sent and answered; the resource is a part of `serviceaccounts`. */
export const tokenRequestDefinition: ResourceDefinition = reviewDefinition({
  group: 'authentication.k8s.io',
  resource: 'tokenrequests',
  kind: 'TokenRequest',
  namespaced: true,
  schema: compileSchema(reviewSchema('TokenRequest requests a token for a given service account.', specSchema)),
});

export interface TokenIssuerOptions {
  key: TokenKey;
  catalogue: ResourceCatalogue;
  /** Milliseconds since the epoch. */
  nowMs: () => number;
}

export class TokenIssuer {
  readonly #options: TokenIssuerOptions;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  /** The TokenRequest with its token. Throws 404 for a ServiceAccount that does not exist, 400, 409 and 422 for a request that cannot be met. */
  async issue(account: ObjectKey, body: unknown, options: WriteOptions): Promise<StoredObject> {
    const { key, nowMs } = this.#options;
    const request = decodeObject(tokenRequestDefinition, body);
    dropUnknownFields(tokenRequestDefinition, request, options);
    const spec = specOf(request) as TokenRequestSpec;
    const seconds = spec.expirationSeconds ?? defaultSeconds;
    const errors = [...tokenRequestDefinition.schema.validate(request), ...lifetimeErrors(seconds)];
    if (errors.length > 0) throw invalid(tokenRequestDefinition, '', errors);
    const audiences =
      spec.audiences === undefined || spec.audiences === null || spec.audiences.length === 0 ? [tokenIssuer] : spec.audiences;
    const subject = await this.#subjectOf(account, spec);
    const issuedAt = Math.floor(nowMs() / 1000);
    const expiresAt = issuedAt + seconds;
    const metadata = { name: account.name, ...(account.namespace === undefined ? {} : { namespace: account.namespace }) };
    const answer = (token: string): StoredObject => {
      const status = { token, expirationTimestamp: timestamp(expiresAt * 1000) };
      const filled = { audiences, expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null };
      return unwritten({ ...request, metadata: { ...metadata, creationTimestamp: timestamp(issuedAt * 1000) }, spec: filled, status }, 0);
    };
    return answer(options.dryRun ? '' : await signToken(key, subject, { audiences, issuedAt, expiresAt }));
  }

  async #subjectOf({ namespace = '', name }: ObjectKey, { boundObjectRef }: TokenRequestSpec): Promise<TokenSubject> {
    const serviceAccount = identityOf(await this.#get('serviceaccounts', { namespace, name }));
    if (boundObjectRef === undefined || boundObjectRef === null) return { namespace, serviceAccount };
    const { kind = '', apiVersion = '', name: secretName = '', uid = '' } = boundObjectRef;
    if (kind !== 'Secret' || apiVersion !== 'v1') {
      throw badRequest(`cannot bind token to object of type ${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`);
    }
    const secret = identityOf(await this.#get('secrets', { namespace, name: secretName }));
    if (uid !== '' && uid !== secret.uid) {
      const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
      throw conflict({ group: '', resource: 'Secret', kind: 'Secret' }, secretName, why);
    }
    return { namespace, serviceAccount, secret };
  }

  async #get(resource: string, key: ObjectKey): Promise<KubernetesObject> {
    const operations = this.#options.catalogue.find('', 'v1', resource);
    if (operations === undefined) throw new TypeError(`${resource} are no built-in type`);
    return (await operations.get(key)).object;
  }
}

function identityOf({ metadata: { name = '', uid = '' } }: KubernetesObject): { name: string; uid: string } {
  return { name, uid };
}

function lifetimeErrors(seconds: number): FieldError[] {
  const field = 'spec.expirationSeconds';
  if (seconds < leastSeconds) return [invalidValue(field, seconds, 'may not specify a duration less than 10 minutes')];
  return seconds > mostSeconds ? [invalidValue(field, seconds, 'may not specify a duration larger than 2^32 seconds')] : [];
}
