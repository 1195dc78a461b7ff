/** Bandwidth limits on the kernel's own traffic control, measured with iperf3 through the whole way that an instance's packets take. */
import assert from 'node:assert/strict';
import { eventually } from '../support/eventually.ts';
import { startIperfServer, measureThroughput } from '../support/iperf.ts';
import type { IperfServer } from '../support/iperf.ts';
import { internetAddress } from '../support/host-namespace.ts';
import { makePoolMachine } from '../support/pool-machine.ts';
import type { MachineContainer, PoolMachine } from '../support/pool-machine.ts';

const megabit = 1_000_000;
const limit = 10 * megabit;
const limits = { ingressBitsPerSecond: limit, egressBitsPerSecond: limit };
const ports = [5201, 5202, 5203, 5204];
const seconds = 3;

describe('bandwidth limits', function () {
  this.timeout(110_000);
  let machine: PoolMachine;
  let servers: IperfServer[] = [];
  let container: MachineContainer;

  before(async () => {
    machine = await makePoolMachine();
    servers = await Promise.all(ports.map((port) => startIperfServer(machine.host.lan, internetAddress, port)));
    container = await machine.run(undefined, limits);
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await machine.remove();
  });

  interface Way {
    way: 'up' | 'down';
    flows?: number;
    udpBitsPerSecond?: number;
    congestion?: 'reno';
  }
  async function measure(
    way: Way,
    [from, port]: readonly [MachineContainer, number] = [container, ports[0]!],
    forSeconds = seconds,
  ): Promise<number> {
    return measureThroughput({ ...way, namespace: await from.namespace(), server: internetAddress, port, seconds: forSeconds });
  }

  async function assertRate(way: Way, wanted: number): Promise<void> {
    const measured = await measure(way);
    assert.ok(
      Math.abs(measured - wanted) <= wanted * 0.1,
      `${JSON.stringify(way)}: ${(measured / megabit).toFixed(2)} Mbit/s instead of ${wanted / megabit}`,
    );
  }

  for (const way of ['up', 'down'] as const) {
    for (const flows of [1, 4, 16]) {
      it(`hold ${flows} flows ${way} within 10 %`, () => assertRate({ way, flows }, limit));
    }
    it(`hold a flood of UDP ${way} within 10 %`, () => assertRate({ way, udpBitsPerSecond: 2 * limit }, limit));
  }

  it('hold after a restart that nobody of ours knew of', async () => {
    await container.docker.restart({ t: 0 });
    await assertRate({ way: 'up' }, limit);
    await assertRate({ way: 'down' }, limit);
  });

  it('change while the container runs, each way by itself, and are taken away', async () => {
    await machine.apply(container, { ingressBitsPerSecond: 2 * limit, egressBitsPerSecond: limit / 2 });
    await assertRate({ way: 'down', flows: 4 }, 2 * limit);
    await assertRate({ way: 'up', flows: 4 }, limit / 2);
    await machine.apply(container, {});
    assert.ok((await measure({ way: 'down' })) > 5 * limit);
  });

  it('are put back when somebody took them away', async () => {
    await machine.apply(container, limits);
    await machine.inPool('tc', 'qdisc', 'del', 'dev', 'docker0', 'root');
    await machine.inPool('tc', 'qdisc', 'del', 'dev', 'eth0', 'root');
    const classes = async (): Promise<void> => {
      for (const device of ['docker0', 'eth0']) assert.match(await machine.inPool('tc', 'class', 'show', 'dev', device), / parent 1:1 /);
    };
    await eventually(classes, { timeoutMs: 20_000, what: 'the shape of every device' });
    await assertRate({ way: 'down' }, limit);
  });

  it('keep all together within what the provider offers, and share it evenly among the greedy', async () => {
    const offer = 40 * megabit;
    const others = await Promise.all([1, 2, 3].map(() => machine.run()));
    await machine.apply(container, {});
    await machine.offer({ ingressBitsPerSecond: offer, egressBitsPerSecond: offer });
    const greedy = [container, ...others].map((each, index) => [each, ports[index]!] as const);
    for (const way of ['down', 'up'] as const) {
      // One of them with many flows has no more for it. A sender that keeps its queue full is greedy; BBR, which some machines use, is not.
      const rates = await Promise.all(
        greedy.map((from, index) => measure({ way, flows: index === 0 ? 8 : 2, congestion: 'reno' }, from, 5)),
      );
      const shown = `${way}: ${rates.map((rate) => (rate / megabit).toFixed(2)).join(', ')} Mbit/s`;
      for (const rate of rates) assert.ok(Math.abs(rate - offer / 4) <= (offer / 4) * 0.15, shown);
    }
  });
});
