import assert from 'node:assert/strict';
import { chooseSubnets, parseNetwork } from './pool-subnet.ts';

const choose = (...taken: string[]): ReturnType<typeof chooseSubnets> =>
  chooseSubnets(taken.map(parseNetwork).filter((network) => network !== undefined));

describe('chooseSubnets()', () => {
  it('takes the first that nothing overlaps', () => {
    assert.deepEqual(choose('192.168.1.0/24', '172.17.0.0/16'), {
      hostAddress: '10.213.0.1',
      poolAddress: '10.213.0.2',
      linkPrefix: 30,
      link: '10.213.0.0/30',
      bridge: '10.213.8.1/21',
    });
  });

  it('goes on past whatever overlaps, be it larger, smaller or an address', () => {
    assert.equal(choose('10.213.0.0/16')?.link, '10.214.0.0/30');
    assert.equal(choose('10.0.0.0/8')?.link, '172.30.0.0/30');
    assert.equal(choose('10.213.15.255')?.link, '10.213.16.0/30');
    assert.equal(choose('10.213.12.0/24', '10.213.31.1')?.link, '10.213.32.0/30');
  });

  it('takes no notice of the default route', () => {
    assert.equal(choose('0.0.0.0/0')?.link, '10.213.0.0/30');
  });

  it('begins where it is told, and comes round', () => {
    assert.equal(chooseSubnets([], 1)?.link, '10.213.16.0/30');
    assert.equal(chooseSubnets([], 65)?.link, chooseSubnets([], 0)?.link);
  });

  it('says when nothing is free', () => {
    assert.equal(choose('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'), undefined);
  });
});

describe('parseNetwork()', () => {
  it('reads networks and addresses, and nothing else', () => {
    assert.deepEqual(parseNetwork('255.255.255.255'), { base: 2 ** 32 - 1, prefix: 32 });
    assert.deepEqual(parseNetwork('10.1.2.3/8'), { base: 10 * 2 ** 24, prefix: 8 });
    for (const text of ['default', 'fe80::1', '1.2.3', '1.2.3.256', '1.2.3.4/33', '']) assert.equal(parseNetwork(text), undefined);
  });
});
