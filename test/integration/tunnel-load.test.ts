/** What streams cost gateways and agents, which are processes of their own here, and what a slow reader does to them and to others. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TunnelWorld } from '../support/tunnel-world.ts';

const megabyte = 1024 * 1024;

describe('streams through gateways', function () {
  this.timeout(120_000);
  let world: TunnelWorld;

  before(async () => {
    world = await TunnelWorld.start(['one']);
    await world.run('web');
  });
  after(() => world.stop());

  async function memory(): Promise<number[]> {
    return Promise.all([world.gateways.get('one')!, world.agent].map((child) => world.memoryBytes(child)));
  }

  /** Milliseconds from what is said to its echo. */
  async function echo(stream: Duplex): Promise<number> {
    const startMs = performance.now();
    stream.write('x');
    await once(stream, 'data');
    return performance.now() - startMs;
  }

  it('carry megabytes a second, also on a busy machine', async () => {
    const stream = await world.open(19);
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    stream.on('error', () => undefined);
    const startMs = performance.now();
    await delay(3_000);
    const rate = bytes / megabyte / ((performance.now() - startMs) / 1000);
    stream.destroy();
    assert.ok(rate > 5, `${rate.toFixed(1)} MB/s`);
  });

  it('that nobody reads hold nobody up, and grow neither gateway nor agent by 50 MB', async () => {
    const others = await Promise.all(Array.from({ length: 10 }, () => world.open(7, 'web', 'mona')));
    for (const other of others) await echo(other);
    const before = await memory();
    // A fast writer each; the test takes a little, and then nothing.
    const slow = await Promise.all(Array.from({ length: 8 }, () => world.open(19)));
    for (const stream of slow) stream.on('error', () => undefined);
    const times: number[] = [];
    let most = before.map(() => 0);
    const untilMs = performance.now() + 15_000;
    while (performance.now() < untilMs) {
      for (const other of others) times.push(await echo(other));
      most = (await memory()).map((bytes, index) => Math.max(most[index]!, bytes));
    }
    const grown = most.map((bytes, index) => (bytes - before[index]!) / megabyte);
    const p99 = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
    for (const stream of [...slow, ...others]) stream.destroy();
    assert.ok(
      grown.every((megabytes) => megabytes < 50),
      `gateway and agent grew by ${grown.map((each) => each.toFixed(1)).join(' and ')} MB`,
    );
    assert.ok(p99 < 150, `others wait ${p99.toFixed(1)} ms for their echo, of ${times.length}`);
  });
});
