/** Makes a join token on the machine of whoever asks for it: the pool gets to see the hash of its secret only. */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { JoinToken } from '../../api/generated/join-token.ts';
import { apiVersionOf, joinTokens } from '../../api/resource-type.ts';
import { formatTime } from '../../api/time.ts';

export interface TokenWish {
  owner: string;
  ttlMs: number;
  uses: number;
  /** The only name that a machine may join by. */
  providerName?: string;
  approval: 'Automatic' | 'Manual';
}

export interface NewToken {
  /** Not in the pool yet. */
  object: JoinToken;
  id: string;
  secret: string;
}

const base32 = 'abcdefghijklmnopqrstuvwxyz234567';
const lettersAndDigits = 'abcdefghijklmnopqrstuvwxyz0123456789';

export function newToken(wish: TokenWish, nowMs: number): NewToken {
  const id = Array.from({ length: 8 }, () => lettersAndDigits[randomInt(lettersAndDigits.length)]).join('');
  const secret = newSecret();
  const object: JoinToken = {
    apiVersion: apiVersionOf(joinTokens),
    kind: joinTokens.kind,
    metadata: { name: id },
    spec: {
      owner: wish.owner,
      secretHash: createHash('sha256').update(secret, 'ascii').digest('hex'),
      expirationTimestamp: formatTime(nowMs + wish.ttlMs),
      uses: wish.uses,
      ...(wish.providerName === undefined ? {} : { providerName: wish.providerName }),
      approval: wish.approval,
    },
  };
  return { object, id, secret };
}

/** 130 random bits: 26 characters of base32. */
function newSecret(): string {
  return [...randomBytes(26)].map((byte) => base32[byte % base32.length]).join('');
}
