import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createLineSplitter } from './line-splitter.ts';

describe('the line splitter', () => {
  it('answers the same lines wherever the stream is cut, also within a character', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '🍲', '"'), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 5 })), (lines, sizes) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const splitter = createLineSplitter(1000);
        const found: string[] = [];
        for (let at = 0, index = 0; at < bytes.length; index += 1) {
          const size = sizes[index % Math.max(sizes.length, 1)] ?? 3;
          found.push(...splitter.push(bytes.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(
          found,
          lines.filter((text) => text !== ''),
        );
        assert.equal(splitter.pendingBytes, 0);
      }),
    );
  });

  it('refuses a line that is too long before it is whole', () => {
    const splitter = createLineSplitter(10);
    assert.deepEqual(splitter.push(Buffer.from('0123456789\n01234')), ['0123456789']);
    assert.equal(splitter.pendingBytes, 5);
    assert.throws(() => splitter.push(Buffer.from('567890')), /longer than 10 bytes/);
  });
});
