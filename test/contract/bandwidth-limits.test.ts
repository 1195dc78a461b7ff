/** What every way to limit bandwidth must do, run on the fake and on the kernel's traffic control in a namespace. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import type { BandwidthLimits } from '../../node-agent/limits/bandwidth/bandwidth-limits.ts';
import { FakeBandwidthLimits } from '../../node-agent/limits/bandwidth/fake-bandwidth-limits.ts';
import { PoolBandwidth } from '../../node-agent/limits/bandwidth/pool-bandwidth.ts';
import type { PoolBandwidthPaths } from '../../node-agent/limits/bandwidth/pool-bandwidth.ts';

const running = 'a'.repeat(64);
const stopped = 'b'.repeat(64);

interface Subject {
  limits: BandwidthLimits;
  /** From now on nothing can be put in place. */
  breakIt(): Promise<void>;
  close(): Promise<void>;
}

function fake(): Promise<Subject> {
  const limits = new FakeBandwidthLimits();
  const breakIt = (): Promise<void> => {
    limits.nextError = new Error('as the test wants it');
    return Promise.resolve();
  };
  return Promise.resolve({ limits, breakIt, close: () => Promise.resolve() });
}

/** A namespace with the two devices, and one container that runs. */
async function makeNamespace(): Promise<{
  paths: PoolBandwidthPaths;
  inside: (...command: string[]) => Promise<string>;
  close: () => Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-bandwidth-'));
  const paths = { namespace: join(directory, 'ns'), bandwidth: join(directory, 'bandwidth'), ports: join(directory, 'ports') };
  await writeFile(paths.namespace, '');
  await runCommand('unshare', [`--net=${paths.namespace}`, 'true']);
  const inside = (...command: string[]): Promise<string> => runCommand('nsenter', [`--net=${paths.namespace}`, ...command]);
  await inside('ip', 'link', 'add', 'docker0', 'type', 'bridge');
  await inside('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far');
  const close = async (): Promise<void> => {
    await runCommand('umount', [paths.namespace]);
    await rm(directory, { recursive: true });
  };
  return { paths, inside, close };
}

async function real(): Promise<Subject> {
  const { paths, inside, close } = await makeNamespace();
  const limits = new PoolBandwidth(paths);
  await limits.assert();
  const [{ ifindex }] = JSON.parse(await inside('ip', '-json', 'link', 'show', 'far')) as [{ ifindex: number }];
  await writeFile(join(paths.ports, running), `${ifindex} 02:42:0a:d5:08:02 10.213.8.2\n`);
  const breakIt = async (): Promise<void> => {
    await inside('ip', 'link', 'del', 'docker0');
  };
  return { limits, breakIt, close };
}

for (const [name, open] of [
  ['fake', fake],
  ['tc', real],
] as const) {
  describe(`bandwidth limits contract: ${name}`, () => {
    let subject: Subject;
    let limits: BandwidthLimits;

    beforeEach(async () => {
      subject = await open();
      ({ limits } = subject);
    });
    afterEach(() => subject.close());

    for (const [what, id] of [
      ['runs', running],
      ['is stopped', stopped],
    ] as const) {
      it(`knows what a container that ${what} has, through every change, until it is forgotten`, async () => {
        assert.deepEqual(await limits.applied(id), {});
        for (const bandwidth of [
          { ingressBitsPerSecond: 10e6 },
          { ingressBitsPerSecond: 5e6, egressBitsPerSecond: 1 },
          {},
          { egressBitsPerSecond: 2 ** 50 },
        ]) {
          await limits.apply(id, bandwidth);
          assert.deepEqual(await limits.applied(id), bandwidth);
        }
        await limits.forget(id);
        assert.deepEqual(await limits.applied(id), {});
        await limits.forget(id);
      });
    }

    it('takes an offer, another one, and none', async () => {
      for (const offer of [{ ingressBitsPerSecond: 40e6 }, { egressBitsPerSecond: 1e6 }, {}]) await limits.setOffer(offer);
    });

    it('rejects what cannot be put in place, and still says what held before', async () => {
      await limits.apply(running, { ingressBitsPerSecond: 10e6 });
      await subject.breakIt();
      await assert.rejects(limits.apply(running, { ingressBitsPerSecond: 20e6 }));
      assert.deepEqual(await limits.applied(running), { ingressBitsPerSecond: 10e6 });
    });
  });
}

describe('bandwidth limits by tc', () => {
  it('come back whole after every device lost its own, offer and containers, and go with the container', async () => {
    const { paths, inside, close } = await makeNamespace();
    try {
      const limits = new PoolBandwidth(paths);
      await limits.assert();
      await inside('ip', 'link', 'add', 'gone', 'type', 'veth', 'peer', 'name', 'other');
      const [{ ifindex }] = JSON.parse(await inside('ip', '-json', 'link', 'show', 'gone')) as [{ ifindex: number }];
      await writeFile(join(paths.ports, running), `${ifindex} 02:42:0a:d5:08:02 10.213.8.2\n`);
      await limits.setOffer({ ingressBitsPerSecond: 40e6 });
      await limits.apply(running, { ingressBitsPerSecond: 10e6, egressBitsPerSecond: 5e6 });
      const shown = async (): Promise<string> =>
        (
          await Promise.all(
            ['docker0', 'eth0'].map((device) => inside('sh', '-c', `tc class show dev ${device}; tc filter show dev ${device}`)),
          )
        ).join('');
      const before = await shown();
      assert.match(before, /rate 40Mbit ceil 40Mbit[^]*ceil 10Mbit[^]*ceil 5Mbit/);
      await limits.assert();
      assert.equal(sorted(await shown()), sorted(before), 'safe to repeat');
      for (const device of ['docker0', 'eth0']) await inside('tc', 'qdisc', 'del', 'dev', device, 'root');
      await limits.assert();
      assert.equal(sorted(await shown()), sorted(before));
      // Its link is gone before it is.
      await inside('ip', 'link', 'del', 'gone');
      await limits.forget(running);
      assert.doesNotMatch(await shown(), /1:12 |match/);
      assert.deepEqual([await readdir(paths.ports), await readdir(paths.bandwidth)], [[], ['default']]);
    } finally {
      await close();
    }
  });
});

/** The kernel lists classes in no order. */
function sorted(text: string): string {
  return text.split('\n').sort().join('\n');
}
