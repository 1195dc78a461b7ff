/** Links that break without a word, links that flap, gateways that die: who notices, when, and what is left. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { instances } from '../../api/resource-type.ts';
import { eventually } from '../support/eventually.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';

describe('a tunnel over a bad network', function () {
  this.timeout(180_000);
  let world: TunnelWorld;

  before(async () => {
    world = await TunnelWorld.start(['one', 'two']);
    await world.run('web');
  });
  after(() => world.stop());

  /** One answer of the echo service; the stream stays open. */
  async function echo(stream: Duplex, text: string): Promise<void> {
    stream.write(text);
    let heard = '';
    while (heard.length < text.length) {
      const [chunk] = (await once(stream, 'data')) as [Buffer];
      heard += chunk.toString();
    }
    assert.equal(heard, text);
  }

  async function works(): Promise<void> {
    const stream = await world.open(7);
    stream.end('are you there?');
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    assert.equal(text, 'are you there?');
  }

  /** Sockets that the agent and the instance's services have to each other. */
  async function innerConnections(): Promise<number> {
    const lines = await world.inInstance('web', 'ss', '-Htn', 'state', 'established');
    return lines.split('\n').filter((line) => line.trim() !== '').length;
  }

  it('is missed by both ends within 35 s, ends its streams with an error, leaves nothing, and is back within 5 s', async () => {
    await works();
    const before = await world.connected();
    const pouring = await world.open(19);
    pouring.resume();
    await once(pouring, 'data');
    const failed = new Promise<{ error: Error | undefined; afterMs: number }>((resolve) => {
      let error: Error | undefined;
      pouring.once('error', (caught: Error) => (error = caught));
      pouring.once('close', () => resolve({ error, afterMs: performance.now() - cutMs }));
    });
    assert.ok((await innerConnections()) > 0);
    await world.net.cut();
    const cutMs = performance.now();
    try {
      const { error, afterMs } = await failed;
      assert.ok(error !== undefined, 'the client is told by an error');
      assert.ok(afterMs < 35_000, `the client heard of it after ${afterMs} ms`);
      await eventually(async () => assert.notEqual((await world.tunnel())?.disconnectedAt, undefined), {
        timeoutMs: Math.max(1_000, 36_000 - (performance.now() - cutMs)),
        what: 'the gateway to say so in the status',
      });
      await eventually(async () => assert.equal(await innerConnections(), 0), {
        timeoutMs: Math.max(1_000, 60_000 - (performance.now() - cutMs)),
        what: 'nothing to be left in the instance',
        intervalMs: 500,
      });
      assert.ok(performance.now() - cutMs < 60_000);
      await assert.rejects(world.open(7), (caught: Error) => {
        assert.match(caught.message, /^default\/web cannot be reached: its provider laptop is not connected since 20\d\d-/);
        return true;
      });
    } finally {
      await world.net.heal();
    }
    const healedMs = performance.now();
    await world.connected(before.session + 1, 5_000);
    await eventually(works, { timeoutMs: 5_000 - (performance.now() - healedMs), what: 'the instance to be reached again' });
  });

  it('that is up for 3 s and down for 3 s moves no instance and never has two sessions', async () => {
    const { status } = await world.admin.get(instances, { namespace: 'default', name: 'web' });
    const counts: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await world.net.cut();
      await watch(3_000, counts);
      await world.net.heal();
      await watch(3_000, counts);
    }
    assert.ok(Math.max(...counts) <= 1, `sessions at a time: ${counts.join(' ')}`);
    await eventually(works, { timeoutMs: 10_000, what: 'the instance to be reached' });
    const after = (await world.admin.get(instances, { namespace: 'default', name: 'web' })).status;
    assert.deepEqual([after?.assignment, after?.phase], [status?.assignment, status?.phase]);
  });

  async function watch(ms: number, counts: number[]): Promise<void> {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs) {
      counts.push(await world.connections());
      await delay(200);
    }
  }

  it('goes to another gateway within seconds when its own is killed, and streams are ended with an error', async () => {
    const { gateway, session } = await world.connected();
    const other = gateway === 'one' ? 'two' : 'one';
    const stream = await world.open(7);
    await echo(stream, 'x');
    const closed = once(stream, 'close').catch((error: unknown) => error);
    await world.gateways.get(gateway)?.killHard();
    const killedMs = performance.now();
    await closed;
    assert.ok(performance.now() - killedMs < 2_000);
    assert.equal((await world.connected(session + 1, 5_000)).gateway, other);
    await works();
    await world.startGateway(gateway);
  });

  it('goes to another gateway at once when its own stops in order', async () => {
    const { gateway, session } = await world.connected();
    const stopping = world.gateways.get(gateway)?.stop();
    const tunnel = await world.connected(session + 1, 10_000);
    assert.notEqual(tunnel.gateway, gateway);
    await works();
    assert.equal(await stopping, 0);
    await world.startGateway(gateway);
  });

  it('is dialled anew at once after the agent stood still for longer than the gateway waits', async () => {
    const { session } = await world.connected();
    process.kill(world.agent.pid, 'SIGSTOP');
    try {
      await eventually(async () => assert.notEqual((await world.tunnel())?.disconnectedAt, undefined), {
        timeoutMs: 36_000,
        what: 'the gateway to give it up',
        intervalMs: 500,
      });
    } finally {
      process.kill(world.agent.pid, 'SIGCONT');
    }
    await world.connected(session + 1, 5_000);
    await works();
  });
});
