/** Shows the identity key to the API, request by request: docs/identity.md, "Renewal and recovery". */
import { challengeSignatureContext, identityScheme } from '../../api/names.ts';
import type { Authorization } from '../../client/authorization.ts';
import type { IdentityKey } from './identity-key.ts';

export function identityAuthorization(key: IdentityKey): Authorization {
  let challenge: string | undefined;
  return {
    header: (method, path) => {
      const who = `${identityScheme} key="${key.publicKey}"`;
      if (challenge === undefined) return who;
      const message = [challengeSignatureContext, challenge, `${method} ${path}`].join('\n');
      return `${who}, challenge="${challenge}", signature="${key.sign(Buffer.from(message, 'utf8'))}"`;
    },
    challenged: (header) => {
      const next = challengeOf(header);
      // The one that was just answered once more, or none: it is we who are refused.
      if (next === undefined || next === challenge) return false;
      challenge = next;
      return true;
    },
  };
}

/** The challenge of our scheme; undefined where the header has none. What stands in it is only ever signed, never believed. */
function challengeOf(header: string): string | undefined {
  return new RegExp(`(?:^|,)\\s*${identityScheme}\\s+(?:[^,]*,\\s*)?challenge="([A-Za-z0-9._~+/=:-]{1,512})"`, 'i').exec(header)?.[1];
}
