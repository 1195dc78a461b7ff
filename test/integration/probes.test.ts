/** What the probes find on real engines. */
import assert from 'node:assert/strict';
import Docker from 'dockerode';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { runProbes } from '../../node-agent/limits/probes/run-probes.ts';
import type { Findings } from '../../node-agent/limits/probes/judge-probes.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { makePoolMachine } from '../support/pool-machine.ts';
import type { PoolMachine } from '../support/pool-machine.ts';

for (const [storageDriver, disk] of [
  ['btrfs', 'Quota'],
  ['overlay2', 'Watchdog'],
] as const) {
  describe(`probes on ${storageDriver}`, function () {
    this.timeout(120_000);
    let dockerd: TestDockerd;
    before(async () => {
      dockerd = await startTestDockerd({ storageDriver });
    });
    after(() => dockerd.stop());

    it('find what bites, with evidence, and leave nothing', async () => {
      const engine = createDockerEngine(dockerd.socketPath);
      const info = await engine.info();
      const findings = await runProbes({ engine, info, signal: new AbortController().signal });
      const levels = Object.fromEntries(Object.entries(findings).map(([kind, { level }]) => [kind, level]));
      const said = JSON.stringify(findings);
      const network = { ingress: 'None', egress: 'None', isolation: 'None' };
      assert.deepEqual(levels, { cpu: 'Quota', memory: 'Hard', disk, pids: 'Hard', ...network, sandbox: 'None' }, said);
      assert.match(findings.cpu.evidence, /used \d+m of CPU and was held back \d+ times/);
      assert.match(findings.memory.evidence, /the kernel ended the process/);
      const docker = new Docker({ socketPath: dockerd.socketPath });
      assert.deepEqual(await docker.listContainers({ all: true }), []);
      assert.deepEqual(await docker.listImages({ all: true }), []);
    });

    it('leave nothing either when they are broken off', async () => {
      const engine = createDockerEngine(dockerd.socketPath);
      const info = await engine.info();
      await assert.rejects(runProbes({ engine, info, signal: AbortSignal.timeout(1_500) }));
      const docker = new Docker({ socketPath: dockerd.socketPath });
      assert.deepEqual(await docker.listContainers({ all: true }), []);
      assert.deepEqual(await docker.listImages({ all: true }), []);
    });
  });
}

describe('probes of the network on the pool’s own engine', function () {
  this.timeout(180_000);
  let machine: PoolMachine;
  before(async () => {
    machine = await makePoolMachine();
  });
  after(() => machine.remove());

  const probe = async (which: string): Promise<Findings> => (await machine.engine.ask(`probe ${which}`)) as Findings;

  it('find bandwidth limits and walls, by packets that were held back', async () => {
    const { ingress, egress, isolation, sandbox } = await probe('shaped');
    const said = JSON.stringify({ ingress, egress, isolation, sandbox });
    assert.deepEqual([ingress.level, egress.level, isolation.level], ['Shaped', 'Shaped', 'Walled'], said);
    for (const { evidence } of [ingress, egress])
      assert.match(evidence, /under a limit of 1\.0 Mbit\/s, (0\.\d|1\.[0-3]) Mbit\/s went through/);
    assert.match(isolation.evidence, /knocked at [5-9] addresses .*: nothing arrived$/);
    // Where gVisor does not work, which depends on the kernel, it says why.
    assert.match(
      sandbox.evidence,
      /^(a container ran under runsc and had a network|runsc does not start a container with a network: .)/,
      said,
    );
    assert.deepEqual(await machine.docker.listContainers({ all: true }), []);
    const processes = (await runCommand('ps', ['-eo', 'args'])).split('\n');
    assert.deepEqual(
      processes.filter((args) => args.includes('runsc') && args.includes(machine.home)),
      [],
    );
  });

  it('see that nothing is limited where it is not, and that a wall has a hole', async () => {
    // Nobody mends it meanwhile.
    await machine.engine.ask('detach');
    const { nftTable } = machine.paths;
    await machine.inPool('nft', 'insert', 'rule', 'inet', nftTable, 'out', 'accept');
    await machine.host.run('nft', 'insert', 'rule', 'inet', nftTable, 'to_host', 'accept');
    const { ingress, egress, isolation } = await probe('unshaped');
    assert.deepEqual([ingress.level, egress.level, isolation.level], ['None', 'None', 'None']);
    for (const { evidence } of [ingress, egress])
      assert.match(evidence, /of [45]\.\d Mbit\/s under a limit of 1\.0 Mbit\/s, [2-5]\.\d Mbit\/s went through/);
    assert.match(isolation.evidence, /: \d+ datagrams arrived$/);
  });
});
