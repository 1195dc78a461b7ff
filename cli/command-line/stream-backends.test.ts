import assert from 'node:assert/strict';
import { parseStreamBackends } from './stream-backends.ts';

describe('parseStreamBackends()', () => {
  it('reads names and addresses', () => {
    const backends = parseStreamBackends(['gateway=https://127.0.0.1:6444', 'other=https://[::1]:1', 'third=https://there']);
    assert.deepEqual(
      [...backends].map(([name, { host }]) => [name, host]),
      [
        ['gateway', '127.0.0.1:6444'],
        ['other', '[::1]:1'],
        ['third', 'there'],
      ],
    );
  });

  for (const wrong of [
    'gateway',
    'gateway=127.0.0.1:1',
    'gateway=http://127.0.0.1:1',
    'gateway=https://a:1/path',
    'Gate way=https://a:1',
    'g=https://u@a:1',
  ]) {
    it(`refuses ${wrong}`, () => assert.throws(() => parseStreamBackends([wrong]), /which is no backend/));
  }
});
