import assert from 'node:assert/strict';
import fc from 'fast-check';
import { forInstance, minorOf, sentBytes, shapeAll, shapeInstance, directions } from './shape-commands.ts';

describe('minorOf()', () => {
  it('gives each address of a bridge a class of its own, none of the parent’s and none that u32 has no room for', () => {
    const minors = new Set<string>();
    for (let third = 120; third < 128; third += 1) {
      for (let fourth = 0; fourth < 256; fourth += 1) minors.add(minorOf(`10.213.${third}.${fourth}`));
    }
    assert.equal(minors.size, 2048);
    for (const minor of minors) assert.ok(parseInt(minor, 16) > 1 && parseInt(minor, 16) <= 0xfff, minor);
  });
});

describe('shapeInstance()', () => {
  it('is never more than what is asked for, and never what the kernel refuses', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), fc.constantFrom('bfifo' as const, 'fq_codel' as const), (rate, leaf) => {
        const text = shapeInstance({ egressBitsPerSecond: rate }, leaf);
        const [, up = ''] = text.split('\n').filter((line) => line.startsWith('class'));
        const ceil = Number(/ ceil (\d+)bit/.exec(up)?.[1]);
        assert.ok(ceil <= Math.max(rate, 8_000) && ceil >= 8_000 && ceil <= 100e9, up);
        assert.ok(Number(/ cburst (\d+) /.exec(up)?.[1]) >= 10 * 1514);
      }),
    );
  });

  it('leaves nothing open once an instance’s address is put in', () => {
    const lines = forInstance(shapeInstance({ ingressBitsPerSecond: 10e6 }, 'bfifo'), '10.213.169.7');
    assert.doesNotMatch(lines, /\$/);
    assert.match(lines, /class replace dev docker0 parent 1:1 classid 1:117 htb rate 8000bit ceil 10000000bit /);
    assert.match(lines, /match ip dst 10\.213\.169\.7\/32 flowid 1:117/);
    assert.match(lines, /dev eth0 .* match ip src 10\.213\.169\.7\/32/);
  });

  it('gives a slow line time for a packet where the queue drops by delay', () => {
    assert.match(shapeInstance({ ingressBitsPerSecond: 1e6 }, 'fq_codel'), /fq_codel limit 1024 target 18168us interval 363360us/);
  });
});

describe('shapeAll()', () => {
  it('bounds all together, and nobody where nothing is offered', () => {
    assert.match(shapeAll(directions[0]!, { ingressBitsPerSecond: 40e6 }), / rate 40000000bit ceil 40000000bit /);
    assert.match(shapeAll(directions[1]!, { ingressBitsPerSecond: 40e6 }), / rate 100000000000bit /);
  });
});

describe('sentBytes()', () => {
  it('reads what tc prints of the class of an address', () => {
    const shown = (minor: string, sent: number): string =>
      `class htb 1:${minor} parent 1:1 leaf ${minor}: prio 0 rate 8Kbit ceil 1Mbit burst 3028b cburst 15140b \n Sent ${sent} bytes 7 pkt (dropped 0, overlimits 3 requeues 0) \n backlog 0b 0p requeues 0\n`;
    const text = shown('1', 9) + shown('1117', 5) + shown('117', 190_234);
    assert.equal(sentBytes(text, '10.213.169.7'), 190_234);
    assert.equal(sentBytes(text, '10.213.169.8'), 0);
  });
});
