import assert from 'node:assert/strict';
import { YamlDecoder, defaultYamlLimits } from './yaml-decoder.ts';

describe('YamlDecoder', function () {
  this.timeout(20_000);
  const large = `a:\n${'- x\n'.repeat(5000)}`;

  it('reads small bodies, large ones and JSON alike', async () => {
    const decoder = new YamlDecoder();
    assert.deepEqual((await decoder.decode(Buffer.from('a: [1]\nb: x'))).value, { a: [1], b: 'x' });
    assert.deepEqual((await decoder.decode(Buffer.from(large))).value, { a: Array.from({ length: 5000 }, () => 'x') });
    const json = JSON.stringify({ a: 'x'.repeat(10_000) });
    assert.deepEqual((await decoder.decode(Buffer.from(json))).value, JSON.parse(json));
    const flow = Buffer.from(`{a: ${'x'.repeat(10_000)}, a: 2}`);
    assert.deepEqual(await decoder.decode(flow, { findDuplicates: true }), { value: { a: 2 }, duplicateFields: ['a'] });
  });

  it('says what is wrong with a large body as it does with a small one', async () => {
    const decoder = new YamlDecoder();
    await assert.rejects(decoder.decode(Buffer.from(`${large}b: [1`)), { name: 'JsonSyntaxError', message: /^yaml: line 500\d: / });
    await assert.rejects(decoder.decode(Buffer.from('['.repeat(20_000))), { name: 'JsonSyntaxError', message: 'exceeded max depth' });
  });

  it('does not hold up its own thread, and gives up in time', async () => {
    const decoder = new YamlDecoder({ ...defaultYamlLimits, longestMs: 300 });
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 5);
    await assert.rejects(decoder.decode(Buffer.from('['.repeat(3_000_000))), {
      message: /^yaml: not read within 0.3 s; send JSON instead$/u,
    });
    clearInterval(counting);
    assert.ok(turns >= 10, `only ${turns} turns`);
  });

  it('refuses with 429 when too many wait, and goes on afterwards', async () => {
    const decoder = new YamlDecoder({ ...defaultYamlLimits, mostWaiting: 2 });
    const bodies = Array.from({ length: 3 }, () => decoder.decode(Buffer.from(large)));
    const results = await Promise.allSettled(bodies);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected'],
    );
    assert.match(String((results[2] as PromiseRejectedResult).reason), /too many YAML bodies wait/u);
    assert.ok(await decoder.decode(Buffer.from(large)));
  });
});
