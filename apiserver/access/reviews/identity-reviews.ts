/** `authentication.k8s.io`: who somebody is, as a question (Kubernetes' `pkg/registry/authentication`). */
import { compileSchema } from '../../admission/compile-schema.ts';
import type { JsonObject } from '../../admission/json-value.ts';
import type { ResourceOperations, UserInfo } from '../../registry/resource.ts';
import { badRequest } from '../../registry/status-error.ts';
import type { TokenAuthenticator } from '../token-authenticator.ts';
import { createReview, reviewDefinition, reviewSchema } from './review-resource.ts';

const group = 'authentication.k8s.io';

interface IdentityReviewOptions {
  tokens: TokenAuthenticator;
  nowMs: () => number;
}

/** In the order of discovery. */
export function createIdentityReviews({ tokens, nowMs }: IdentityReviewOptions): ResourceOperations[] {
  const self = reviewDefinition({
    group,
    resource: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    namespaced: false,
    schema: compileSchema(reviewSchema('SelfSubjectReview contains the user information that the API server has about whoever asks.', {})),
  });
  const token = reviewDefinition({
    group,
    resource: 'tokenreviews',
    kind: 'TokenReview',
    namespaced: false,
    schema: compileSchema(
      reviewSchema('TokenReview attempts to authenticate a token to a known user.', {
        token: { type: 'string', description: 'Token is the opaque bearer token.' },
        audiences: {
          type: 'array',
          nullable: true,
          items: { type: 'string' },
          description: 'Whom the token must be for, one of them; the API itself by default.',
        },
      }),
    ),
  });
  return [
    createReview(self, { answer: ({ user }) => ({ userInfo: describeUser(user) }) }),
    createReview(token, { answer: ({ spec }) => reviewToken(tokens, spec, nowMs()) }),
  ];
}

async function reviewToken(tokens: TokenAuthenticator, spec: JsonObject, nowMs: number): Promise<JsonObject> {
  const { token, audiences } = spec;
  if (typeof token !== 'string' || token === '') throw badRequest('token is required for TokenReview in authentication');
  const wanted = Array.isArray(audiences) && audiences.length > 0 ? (audiences as string[]) : undefined;
  const identity = await tokens.authenticate(token, nowMs, wanted);
  if (identity === undefined) return { user: {}, error: 'invalid bearer token' };
  return { authenticated: true, user: describeUser(identity.user), audiences: identity.audiences };
}

/** `authentication.k8s.io/v1` UserInfo. */
function describeUser({ name, uid, groups, extra }: UserInfo): JsonObject {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(extra === undefined ? {} : { extra }),
  };
}
