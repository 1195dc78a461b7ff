import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JoinToken } from '../../api/generated/join-token.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { judgeToken, withProviderName } from './judge-token.ts';
import { askedAt, nowMs, request, token } from './signing-fixtures.ts';

const judge = (of: JoinToken | undefined, csr = request()): string => judgeToken(of, csr, nowMs).kind;
const claim = (name: string): { request: string; requestUID: string; claimedAt: string } => ({
  request: name,
  requestUID: `uid-of-${name}`,
  claimedAt: askedAt,
});
const askingAs = (name: string): CertificateSigningRequest => ({
  ...request(),
  metadata: { name, uid: `uid-of-${name}`, creationTimestamp: askedAt },
});

describe('judgeToken()', () => {
  it('spends a use on a request, once', () => {
    const verdict = judgeToken(token(), request(), nowMs);
    assert.ok(verdict.kind === 'claim');
    assert.deepEqual(verdict.claims, [{ request: request().metadata.name, requestUID: 'request-1', claimedAt: '2026-01-01T12:00:05Z' }]);
    assert.equal(judge(token({}, { claims: verdict.claims })), 'claimed');
    assert.equal(
      judge(token({ expirationTimestamp: '2026-01-01T11:30:00Z' }, { claims: verdict.claims })),
      'claimed',
      'also when it ran out since',
    );
    assert.equal(judge(token({}, { claims: [claim('other')] })), 'refuse');
    assert.equal(judge(token({ uses: 2 }, { claims: [claim('other')] })), 'claim');
  });

  it('goes by when the request was made: not when or after it ran out, not before the token was there', () => {
    assert.equal(judge(undefined), 'refuse');
    assert.equal(judge(token({ expirationTimestamp: askedAt })), 'refuse');
    assert.equal(judge(token({ expirationTimestamp: '2026-01-01T12:00:01Z' })), 'claim');
    assert.equal(judge(token({ expirationTimestamp: 'tomorrow' })), 'refuse');
    const later = token();
    later.metadata.creationTimestamp = '2026-01-01T12:00:01Z';
    assert.equal(judge(later), 'refuse', 'another token of the same name');
    const leaving = token();
    leaving.metadata.deletionTimestamp = askedAt;
    assert.equal(judge(leaving), 'refuse');
  });

  it('does not know a request again by its name alone', () => {
    const again = token({ uses: 2 }, { claims: [{ ...claim('x'), request: request().metadata.name! }] });
    assert.equal(judge(again), 'refuse');
  });

  it('never spends more than its uses, in whatever order requests come back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 30 }),
        (uses, order) => {
          let claims: ReturnType<typeof claim>[] = [];
          for (const name of order) {
            const verdict = judgeToken(token({ uses }, { claims }), askingAs(name), nowMs);
            assert.equal(
              verdict.kind === 'claimed',
              claims.some((each) => each.request === name),
            );
            if (verdict.kind === 'claim') claims = verdict.claims;
          }
          const [first, distinct] = [claims.map((each) => each.request), [...new Set(order)]];
          assert.deepEqual(first, distinct.slice(0, uses), 'who came first');
        },
      ),
    );
  });
});

describe('withProviderName()', () => {
  it('names the machine of one claim, and answers the same claims when it stands there', () => {
    const claims = [claim('a'), claim('b')];
    const named = withProviderName(claims, 'uid-of-b', 'desk');
    assert.deepEqual(named, [claim('a'), { ...claim('b'), providerName: 'desk' }]);
    assert.equal(withProviderName(named, 'uid-of-b', 'desk'), named);
    assert.equal(withProviderName(claims, 'nobody', 'desk'), claims);
  });
});
