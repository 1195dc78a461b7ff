import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { silentLogger } from '../../../runtime/logger.ts';
import { parseNetwork } from '../pool-subnet.ts';
import { closedNetworks } from './closed-networks.ts';
import { findNameServer, nameServerOf } from './name-server.ts';
import { normalise } from './nft-table.ts';
import { WallState } from './wall-state.ts';

describe('closedNetworks()', () => {
  const holds = (networks: readonly string[], address: string): boolean =>
    networks.some((text) => {
      const [whole, part] = [parseNetwork(text)!, parseNetwork(address)!];
      return part.base >= whole.base && part.base < whole.base + 2 ** (32 - whole.prefix);
    });

  it('closes what is not the internet, the machine’s own addresses and the networks that it is on, and nothing else', () => {
    const addresses = [{ addr_info: [{ local: '127.0.0.1' }, {}] }, { addr_info: [{ local: '203.0.113.5' }] }, {}];
    const routes = [
      { dst: 'default', gateway: '198.51.100.1' },
      { dst: '198.51.100.0/25' },
      { dst: '192.0.2.0/24', gateway: '198.51.100.9' },
    ];
    const closed = closedNetworks(addresses, routes);
    const shut = ['10.1.2.3', '172.31.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254', '127.0.0.1', '224.0.0.251', '255.255.255.255'];
    for (const address of [...shut, '203.0.113.5', '198.51.100.7']) assert.ok(holds(closed, address), address);
    for (const address of ['203.0.113.6', '198.51.100.200', '192.0.2.1', '1.1.1.1', '172.32.0.1'])
      assert.ok(!holds(closed, address), address);
  });

  it('leaves the way to the internet open where it is a route without a gateway', () => {
    assert.ok(!holds(closedNetworks([], [{ dst: '0.0.0.0/1' }, { dst: '128.0.0.0/1' }, { dst: 'default' }]), '1.1.1.1'));
  });

  it('answers networks of which none touches another, as nft wants them', () => {
    const part = fc.integer({ min: 0, max: 255 });
    const dst = fc.tuple(part, part, part, fc.integer({ min: 8, max: 32 })).map(([a, b, c, prefix]) => `${a}.${b}.${c}.0/${prefix}`);
    fc.assert(
      fc.property(fc.array(fc.record({ dst })), (routes) => {
        const networks = closedNetworks([], routes).map((text) => parseNetwork(text)!);
        for (const [index, { base }] of networks.entries()) {
          const before = networks[index - 1];
          assert.ok(before === undefined || before.base + 2 ** (32 - before.prefix) <= base);
        }
        for (const { dst: text } of routes)
          assert.ok(networks.some(({ base, prefix }) => parseNetwork(text)!.base - base < 2 ** (32 - prefix)));
      }),
    );
  });
});

describe('findNameServer()', () => {
  it('takes the first one that the pool’s network leads to', () => {
    assert.equal(
      nameServerOf('# x\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\nnameserver 192.168.1.1\nnameserver 9.9.9.9\n'),
      '192.168.1.1',
    );
    assert.equal(nameServerOf('search lan\n'), undefined);
  });

  it('asks systemd-resolved’s own where the first file has only its stub, and a public one where there is none', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'potluck-resolv-'));
    try {
      const [stub, real] = [join(directory, 'stub'), join(directory, 'real')];
      await writeFile(stub, 'nameserver 127.0.0.53\noptions edns0\n');
      await writeFile(real, 'nameserver 10.0.0.7\n');
      assert.equal(await findNameServer([stub, real]), '10.0.0.7');
      assert.equal(await findNameServer([stub, join(directory, 'none')]), '9.9.9.9');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('normalise()', () => {
  const listing = (rule: object, elements: unknown[], handle: number): string =>
    JSON.stringify({
      nftables: [{ metainfo: { version: '1' } }, { set: { name: 'fresh', elem: elements, handle } }, { rule: { expr: [rule], handle } }],
    });

  it('sees a changed rule and passes over handles and what packets leave', () => {
    const before = normalise(listing({ drop: null }, ['10.0.0.1'], 1), ['fresh']);
    assert.equal(normalise(listing({ drop: null }, ['10.0.0.2'], 7), ['fresh']), before);
    assert.notEqual(normalise(listing({ accept: null }, ['10.0.0.1'], 1), ['fresh']), before);
    assert.notEqual(normalise(listing({ drop: null }, ['10.0.0.2'], 1), []), normalise(listing({ drop: null }, ['10.0.0.1'], 1), []));
  });
});

describe('WallState', () => {
  it('cuts the pool off when a wall does not stand, tells of each change once, and connects it again', async () => {
    const state = new WallState(silentLogger);
    const told: string[] = [];
    const stopListening = state.onChange(() => told.push(state.standing ? 'up' : state.reason));
    let isCut = false;
    let works = true;
    const network = {
      assert: (): Promise<boolean> => {
        if (!works) return Promise.reject(new Error('nft does not work'));
        isCut = false;
        return Promise.resolve(true);
      },
      cutOff: (): Promise<void> => {
        isCut = true;
        return Promise.resolve();
      },
    };
    await state.hold(network);
    works = false;
    await state.hold(network);
    await state.hold(network);
    assert.ok(isCut);
    works = true;
    await state.hold(network);
    assert.ok(!isCut);
    stopListening();
    assert.equal(await state.hold(network), true);
    works = false;
    assert.equal(await state.hold(network), false);
    assert.deepEqual(told, ['up', 'nft does not work', 'up']);
  });
});
