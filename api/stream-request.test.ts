import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readStreamRequest } from './stream-request.ts';

const good = {
  ':method': 'CONNECT',
  ':authority': '0b6f1c0e-0000-4000-8000-000000000000',
  'x-potluck-epoch': '7',
  'x-potluck-kind': 'exec',
  'x-potluck-parameters': Buffer.from('{"command":["ä"]}').toString('base64url'),
  'x-potluck-session-id': 'f'.repeat(32),
  'x-potluck-user': encodeURIComponent('system:serviceaccount:potluck-members:ünsal'),
};

describe('readStreamRequest()', () => {
  it('reads what is whole', () => {
    assert.deepEqual(readStreamRequest(good), {
      request: {
        instanceUid: '0b6f1c0e-0000-4000-8000-000000000000',
        epoch: 7,
        kind: 'exec',
        parameters: { command: ['ä'] },
        sessionId: 'f'.repeat(32),
        user: 'system:serviceaccount:potluck-members:ünsal',
        hops: 0,
      },
    });
  });

  it('answers what is wrong by a Status', () => {
    const code = (change: object): number | undefined => {
      const read = readStreamRequest({ ...good, ...change }, ['exec']);
      return 'refusal' in read ? read.refusal.code : undefined;
    };
    assert.equal(code({}), undefined);
    assert.equal(code({ 'x-potluck-kind': 'ssh' }), 403);
    assert.equal(code({ other: 'x'.repeat(65_536) }), 431);
    for (const name of Object.keys(good)) assert.equal(code({ [name]: undefined }), 400, name);
    for (const name of Object.keys(good)) assert.equal(code({ [name]: [good[name as keyof typeof good]] }), 400, name);
  });

  it('never throws', () => {
    const names = fc.constantFrom(...Object.keys(good));
    fc.assert(
      fc.property(fc.dictionary(names, fc.oneof(fc.string(), fc.base64String(), fc.array(fc.string()))), (change) => {
        const read = readStreamRequest({ ...good, ...change });
        assert.ok('request' in read || (read.refusal.code ?? 0) >= 400);
      }),
    );
  });
});
