/** The short ones: renewal, users' requests, lifetimes, and how long things are kept. */
import assert from 'node:assert/strict';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { defaultKeepingTimes, requestTimeLeftMs, tokenTimeLeftMs } from './judge-age.ts';
import { judgeClientRequest } from './judge-client-request.ts';
import { askingProvider, judgeRenewal } from './judge-renewal.ts';
import { lifetimeMs } from './lifetime.ts';
import { askedAt, provider, readRequest, request, token } from './signing-fixtures.ts';

const by = (username: string, ...groups: string[]): CertificateSigningRequest => ({
  ...request(),
  spec: { ...request().spec, username, groups },
});

describe('judgeRenewal()', () => {
  it('knows providers by their group and name, also those that recover', () => {
    assert.equal(askingProvider(by('system:provider:1', 'system:providers')), '1');
    assert.equal(askingProvider(by('system:provider:1', 'system:provider-recovery')), '1');
    assert.equal(askingProvider(by('system:provider:1', 'system:authenticated')), undefined);
    assert.equal(askingProvider(by('admin', 'system:providers')), undefined);
  });

  it('lets in who is in the pool and not revoked, with a fit key', () => {
    const judge = (...[of, read = readRequest]: [Parameters<typeof judgeRenewal>[2], typeof readRequest?]): string | undefined =>
      judgeRenewal(request(), read, of)?.reason;
    assert.equal(judge(provider('desk')), undefined);
    assert.equal(judge(undefined), 'ProviderGone');
    assert.equal(judge({ ...provider('desk'), metadata: { name: 'desk', deletionTimestamp: askedAt } }), 'ProviderGone');
    assert.equal(judge(provider('desk', { revoked: true })), 'ProviderRevoked');
    assert.equal(judge(provider('desk'), { ...readRequest, keyProblem: 'weak' }), 'InvalidRequest');
  });
});

describe('judgeClientRequest()', () => {
  const jane = [{ type: 'CN', value: 'jane' }];
  const judge = (usages: string[], subject = jane): string | undefined =>
    judgeClientRequest({ ...request(), spec: { ...request().spec, usages } }, { ...readRequest, subject })?.message;

  it('takes a client’s usages, as kube-controller-manager does', () => {
    assert.equal(judge(['client auth']), undefined);
    assert.equal(judge(['key encipherment', 'digital signature', 'client auth']), undefined);
    assert.equal(judge(['digital signature']), 'missing required usage for client certificate: client auth');
    assert.equal(judge(['client auth', 'cert sign']), 'invalid usage for client certificate: cert sign');
  });

  it('takes plain names, and never the masters’ group', () => {
    const group = (value: string): string | undefined => judge(['client auth'], [...jane, { type: 'O', value }]);
    assert.equal(group('devs'), undefined);
    assert.match(group('system:masters') ?? '', /system:masters group is not allowed/u);
    for (const value of ['', '#1603616263', 'a\u0000b', 'a\nb']) assert.match(group(value) ?? '', /must be plain text/u);
    assert.match(judge(['client auth'], []) ?? '', /one common name/u);
    assert.match(judge(['client auth'], [...jane, ...jane]) ?? '', /one common name/u);
    assert.match(judge(['client auth'], [...jane, { type: '1.2.3', value: 'x' }]) ?? '', /may not have the attribute 1\.2\.3/u);
  });
});

describe('lifetimeMs()', () => {
  it('is what was asked for, within what the pool gives', () => {
    assert.deepEqual(
      [undefined, null, 600, 90_000].map((seconds) => lifetimeMs(seconds, 3_600_000)),
      [3_600_000, 3_600_000, 600_000, 3_600_000],
    );
  });
});

describe('requestTimeLeftMs() and tokenTimeLeftMs()', () => {
  const atMs = Date.parse(askedAt);
  const hourMs = 3_600_000;
  const left = (more: Partial<CertificateSigningRequest>, laterMs: number): number =>
    requestTimeLeftMs(request(more), defaultKeepingTimes, atMs + laterMs);

  it('keep what is settled for an hour, and what is not for a day', () => {
    const said = (type: string): Partial<CertificateSigningRequest> => ({
      status: { conditions: [{ type, status: 'True', lastUpdateTime: '2026-01-01T14:00:00Z' }] },
    });
    assert.equal(left({}, 0), 24 * hourMs);
    assert.equal(left(said('Approved'), 0), 24 * hourMs, 'nobody signed it');
    assert.equal(left(said('Denied'), 2 * hourMs), hourMs);
    assert.equal(left(said('Failed'), 3 * hourMs), 0);
    assert.equal(left({ status: { ...said('Approved').status, certificate: 'x' } }, 2.5 * hourMs), hourMs / 2);
    assert.equal(left({ status: { certificate: 'x' } }, 2 * hourMs), 0);
  });

  it('keep a token for a day after it ran out', () => {
    assert.equal(tokenTimeLeftMs(token(), defaultKeepingTimes, Date.parse('2026-01-01T13:00:00Z')), 24 * hourMs);
    assert.equal(tokenTimeLeftMs(token(), defaultKeepingTimes, Date.parse('2026-01-02T13:00:00Z')), 0);
  });
});
