/** `POST serviceaccounts/NAME/token`: the one subresource that answers with an object of another kind. */
import { tokenRequestDefinition, type TokenIssuer } from '../access/token-issuer.ts';
import type { Answer } from './answer.ts';
import { decodeObjectBody } from './decode-body.ts';
import { encodeObject } from './encode-objects.ts';
import { parseWriteOptions } from './query-options.ts';
import { presentationOf, readBody, requireServed, type ResourceCall } from './resource-routes.ts';

export function isTokenRequest({ info }: ResourceCall): boolean {
  return info.group === '' && info.resource === 'serviceaccounts' && info.subresource === 'token';
}

export async function answerTokenRequest(call: ResourceCall, issuer: TokenIssuer): Promise<Answer> {
  requireServed(call);
  const { request, info, query, user } = call;
  const presentation = presentationOf(call);
  const options = parseWriteOptions('CreateOptions', query, { user, userAgent: request.headers['user-agent'] });
  const raw = { contentType: request.headers['content-type'], body: await readBody(call) };
  const findDuplicates = options.fieldValidation !== 'Ignore';
  const { value, duplicateFields } = await decodeObjectBody(tokenRequestDefinition, raw, call.yaml, { findDuplicates });
  const { namespace = '', name = '' } = info;
  const answer = await issuer.issue({ namespace, name }, value, { ...options, duplicateFields });
  return { ...encodeObject(201, tokenRequestDefinition, answer, presentation), warnings: options.warnings };
}
