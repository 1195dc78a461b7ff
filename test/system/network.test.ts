/** Bandwidth and walls from the API down to the kernel: what is declared is in force, and what cannot be walled in does not run. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { instances, providers } from '../../api/resource-type.ts';
import { poolPaths } from '../../node-agent/engine/pool-paths.ts';
import type { PoolPaths } from '../../node-agent/engine/pool-paths.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

describe('the network of instances, on a real pool', function () {
  this.timeout(120_000);
  let pool: TestPool;
  let paths: PoolPaths;

  before(async () => {
    const offer = { cpu: '2', memory: '4Gi', disk: '4Gi', 'ingress-bandwidth': '40M', 'egress-bandwidth': '20M' };
    pool = await startTestPool({ providers: [{ name: 'desktop', offer }] });
    paths = poolPaths(join(pool.home, 'providers', 'desktop'));
  });
  after(() => pool.stop());

  const classes = (device: string): Promise<string> =>
    runCommand('nsenter', [`--net=${paths.namespace}`, 'tc', 'class', 'show', 'dev', device]);
  async function untilShaped(device: string, pattern: RegExp): Promise<void> {
    await eventually(async () => assert.match(await classes(device), pattern), { timeoutMs: 15_000, what: `${pattern} on ${device}` });
  }

  it('is shaped as declared when the instance runs, and anew when the instance or the offer changes', async () => {
    const limits = { 'ingress-bandwidth': '10M', 'egress-bandwidth': '5M' };
    await pool.client.create(instances, instanceManifest('shaped', { limits }));
    const before = await pool.untilPhase('shaped', 'Running');
    assert.match(await classes('docker0'), / parent 1:1 .* ceil 10Mbit /);
    assert.match(await classes('eth0'), / parent 1:1 .* ceil 5Mbit /);
    await untilShaped('docker0', /class htb 1:1 root .*rate 40Mbit ceil 40Mbit /);
    await untilShaped('eth0', /class htb 1:1 root .*rate 20Mbit ceil 20Mbit /);
    const change = { spec: { resources: { limits: { 'ingress-bandwidth': '12M' } } } };
    await pool.client.patch(instances, { namespace: 'default', name: 'shaped' }, change);
    await untilShaped('docker0', / parent 1:1 .* ceil 12Mbit /);
    assert.equal((await pool.get('shaped')).status?.containerID, before.status?.containerID);
    await pool.client.patch(providers, { name: 'desktop' }, { spec: { offer: { 'ingress-bandwidth': '30M' } } });
    await untilShaped('docker0', /class htb 1:1 root .*rate 30Mbit ceil 30Mbit /);
    await pool.client.delete(instances, { namespace: 'default', name: 'shaped' });
    await pool.untilGone('shaped');
    await eventually(async () => assert.doesNotMatch(await classes('docker0'), / parent 1:1 /), {
      timeoutMs: 5_000,
      what: 'the shape to go',
    });
  });

  it('is taken from instances that cannot be walled in, which stop, say so, and go on as if nothing had been when they can', async () => {
    await pool.client.create(instances, instanceManifest('walled', { restartPolicy: 'Never' }));
    await pool.untilPhase('walled', 'Running');
    const thief = await takeTable();
    const ready = async (status: string, reason: string): Promise<void> => {
      const condition = (await pool.get('walled')).status?.conditions?.find(({ type }) => type === 'Ready');
      assert.deepEqual([condition?.status, condition?.reason], [status, reason]);
    };
    try {
      await eventually(() => ready('False', 'WallsDown'), { timeoutMs: 60_000, what: 'the instance to say why it does not run' });
      assert.deepEqual(
        (await pool.containers('desktop')).map(({ running }) => running),
        [false],
      );
    } finally {
      thief.kill('SIGKILL');
      await once(thief, 'exit');
    }
    await eventually(() => ready('True', 'Running'), { timeoutMs: 30_000, what: 'the instance to run again' });
    assert.equal((await pool.get('walled')).status?.restartCount, 0);
  });

  /** Another program owns a table of our name: the kernel refuses ours for as long as that one lives. */
  async function takeTable(): Promise<ChildProcess> {
    const name = paths.nftTable;
    const child = spawn('nsenter', [`--net=${paths.namespace}`, 'nft', '-i'], { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.write(`delete table inet ${name}\nadd table inet ${name} { flags owner; }\n`);
    const taken = async (): Promise<void> => {
      const table = await runCommand('nsenter', [`--net=${paths.namespace}`, 'nft', 'list', 'table', 'inet', name]);
      assert.match(table, /flags owner/);
    };
    await eventually(taken, { timeoutMs: 10_000, what: 'the table to be taken' });
    return child;
  }
});
