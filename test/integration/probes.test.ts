/** What the probes find on real engines. */
import assert from 'node:assert/strict';
import Docker from 'dockerode';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { runProbes } from '../../node-agent/limits/probes/run-probes.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';

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
      assert.deepEqual(levels, { cpu: 'Quota', memory: 'Hard', disk, pids: 'Hard', sandbox: 'None' }, said);
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
