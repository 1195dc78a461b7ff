/** Whether a provider gets another certificate. Pure. */
import type { Provider } from '../../api/generated/provider.ts';
import { providerRecoveryGroup, providersGroup, providerUser } from '../../api/names.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { usagesProblem } from './read-join.ts';
import { invalidRequest, providerGone, providerRevoked } from './refusals.ts';
import type { Statement } from './request-conditions.ts';
import type { ReadRequest } from './signer.ts';

/** The uid that a provider's request was made by; undefined for anybody else's. */
export function askingProvider({ spec }: CertificateSigningRequest): string | undefined {
  const { username = '', groups = [] } = spec;
  if (!groups.includes(providersGroup) && !groups.includes(providerRecoveryGroup)) return undefined;
  const prefix = providerUser('');
  return username.startsWith(prefix) ? username.slice(prefix.length) : undefined;
}

/** Undefined when it does. */
export function judgeRenewal(request: CertificateSigningRequest, read: ReadRequest, provider: Provider | undefined): Statement | undefined {
  if (provider === undefined || provider.metadata.deletionTimestamp !== undefined) return providerGone;
  if (provider.spec.revoked === true) return providerRevoked(provider.metadata.name ?? '');
  const problem = usagesProblem(request) ?? read.keyProblem;
  return problem === undefined ? undefined : invalidRequest(problem);
}
