import assert from 'node:assert/strict';
import { bearerOf, formatJoinToken, parseJoinToken } from './join-token-format.ts';

const token = { id: 'abcd1234', secret: 'abcdefghijklmnopqrstuvwxyz', caHash: 'A'.repeat(43) };

describe('join tokens', () => {
  it('are written and read, and shown without the hash of the CA', () => {
    const text = formatJoinToken(token);
    assert.equal(text, `plk1.abcd1234.abcdefghijklmnopqrstuvwxyz.${'A'.repeat(43)}`);
    assert.deepEqual(parseJoinToken(text), token);
    assert.equal(bearerOf(token), 'plk1.abcd1234.abcdefghijklmnopqrstuvwxyz');
  });

  it('are refused when a part is missing, too long or of other characters', () => {
    const whole = formatJoinToken(token);
    const wrong = [bearerOf(token), `${whole}A`, ` ${whole}`, `${whole}\n`, whole.toUpperCase(), whole.replace('plk1', 'plk2'), ''];
    for (const text of wrong) assert.equal(parseJoinToken(text), undefined, JSON.stringify(text));
  });
});
