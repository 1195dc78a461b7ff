/** Why a certificate is not given, in words for who asked. */
import { reasons } from '../../api/reasons.ts';
import type { Statement } from './request-conditions.ts';

/** The same for every token that does not let in: who guesses learns nothing. */
export const tokenRefusal: Statement = {
  reason: reasons.tokenSpent,
  message: 'the join token does not let this machine in: it is unknown, ran out, or was used up; ask for another',
};

export function invalidRequest(problem: string): Statement {
  return { reason: reasons.invalidRequest, message: problem };
}

export function ownerMayNotLend(owner: string): Statement {
  return {
    reason: reasons.ownerMayNotLend,
    message: `${owner} may not lend machines; an admin can add Lend to the permissions of the Member`,
  };
}

export const unknownRequester: Statement = {
  reason: reasons.unknownRequester,
  message: 'only a machine with a join token, or a provider, gets a certificate of this signer',
};

export const providerGone: Statement = {
  reason: reasons.providerGone,
  message: 'the Provider is no longer in the pool; let the machine join anew',
};

export function providerRevoked(name: string): Statement {
  return { reason: reasons.providerRevoked, message: `${name} is revoked; an admin can delete the Provider, and the machine joins anew` };
}

export function nameTaken(name: string, by: string): Statement {
  return {
    reason: reasons.nameTaken,
    message: `the name ${name}, which the join token names, is taken by a machine ${by}; delete that Provider first`,
  };
}

export function identityTaken(name: string, why: string): Statement {
  return { reason: reasons.identityTaken, message: `the machine's identity key is that of the Provider ${name}, ${why}` };
}
