/** Limits on the pool's own engine, as `npm start` makes it, on whatever file system this machine has. */
import assert from 'node:assert/strict';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { after, before, describe, it } from 'mocha';
import { instances, providers } from '../../api/resource-type.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

describe('what the pool’s own engine enforces', function () {
  this.timeout(240_000);
  let pool: TestPool;
  let engine: Docker;
  before(async () => {
    pool = await startTestPool({ providers: [{ name: 'desktop' }] });
    engine = new Docker({ socketPath: join(pool.home, 'providers/desktop/engine/docker.sock') });
  });
  after(async () => {
    await pool.stop();
  });

  it('is tried after the start, published with evidence, and can be required', async () => {
    const { status } = await eventually(
      async () => {
        const provider = await pool.client.get(providers, { name: 'desktop' });
        assert.ok(provider.status?.enforcement?.probedAt);
        return provider;
      },
      { timeoutMs: 90_000, what: 'the enforcement to be published' },
    );
    const { evidence, ...levels } = status?.enforcement ?? {};
    const said = JSON.stringify(evidence);
    assert.deepEqual(
      { ...levels, probedAt: undefined, sandbox: undefined },
      {
        cpu: 'Quota',
        memory: 'Hard',
        disk: 'Quota',
        pids: 'Hard',
        ingress: 'Shaped',
        egress: 'Shaped',
        isolation: 'Walled',
        sandbox: undefined,
        probedAt: undefined,
      },
      said,
    );
    assert.equal(Object.keys(evidence ?? {}).length, 8, said);

    const placement = { requireEnforcement: { disk: 'Quota', memory: 'Hard' } };
    await pool.client.create(instances, instanceManifest('strict', { placement }));
    await pool.untilPhase('strict', 'Running');
    const sandboxed = instanceManifest('sandboxed');
    await pool.client.create(instances, { ...sandboxed, spec: { ...sandboxed.spec, isolation: 'Sandboxed' } });
    await eventually(
      async () => {
        const scheduled = (await pool.get('sandboxed')).status?.conditions?.find(({ type }) => type === 'Scheduled');
        assert.equal(scheduled?.message, '0/1 providers fit: 1 without sandbox Available');
      },
      { timeoutMs: 15_000, what: 'the reason' },
    );
  });

  it('refuses 400 MB under 300 MB with "Disk quota exceeded", on the file system that this machine has', async () => {
    // What it says goes where there is room.
    const fill = 'test -e /big || { dd if=/dev/zero of=/big bs=1M count=400 2> /dev/shm/said; echo $? > /dev/shm/code; }; exec sleep 1000';
    const command = ['sh', '-c', fill];
    const limits = { disk: '300M', memory: '128Mi' };
    await pool.client.create(instances, instanceManifest('big', { command, requests: { disk: '300M' }, limits }));
    const { metadata } = await pool.untilPhase('big', 'Running');
    const said = await eventually(
      async () => {
        const text = await inside(metadata.uid ?? '', 'cat /dev/shm/code /dev/shm/said');
        assert.match(text, /^\d/);
        return text;
      },
      { timeoutMs: 60_000, what: 'dd to end' },
    );
    assert.match(said, /^1\n/);
    assert.match(said, /Disk quota exceeded/);
    const written = Number(await inside(metadata.uid ?? '', 'wc -c < /big'));
    assert.ok(written > 250e6 && written < 310e6, `${written} bytes`);
  });

  it('keeps the disk of an instance that is stopped and started', async () => {
    const key = { namespace: 'default', name: 'big' };
    await pool.client.patch(instances, key, { spec: { powerState: 'Stopped' } });
    await pool.untilPhase('big', 'Stopped');
    await pool.client.patch(instances, key, { spec: { powerState: 'Running' } });
    const { metadata } = await pool.untilPhase('big', 'Running');
    assert.ok(Number(await inside(metadata.uid ?? '', 'wc -c < /big')) > 0);
    await pool.client.delete(instances, key);
    await pool.untilGone('big');
  });

  describe('beside a bomb', () => {
    const count = 'i=0; while true; do i=$((i+1)); [ $((i % 1000)) -eq 0 ] && echo $i > /count; done';
    const half = { cpu: '300m', memory: '32Mi', disk: '64Mi' };
    const small = { cpu: '100m', memory: '48Mi', disk: '64Mi' };
    const bombs: readonly [string, string][] = [
      ['memory', 'tail /dev/zero'],
      ['fork', 'while true; do sleep 1000 & done'],
      ['disk', 'while true; do dd if=/dev/zero of=/full bs=1M count=1000 2> /dev/null; done'],
      ['inode', 'i=0; while true; do i=$((i+1)); echo > /tmp/$i; done 2> /dev/null'],
      ['log', 'yes potluck'],
      ['open-file', 'i=10; while true; do i=$((i+1)); eval "exec $i< /dev/null" || i=10; done 2> /dev/null'],
      ['cpu', 'while true; do :; done'],
    ];
    let uid: string;
    let freeBefore: number;
    before(async () => {
      await pool.client.create(instances, instanceManifest('neighbour', { command: ['sh', '-c', count], requests: half, limits: half }));
      uid = (await pool.untilPhase('neighbour', 'Running')).metadata.uid ?? '';
      freeBefore = await freeBytes();
    });

    for (const [kind, script] of bombs) {
      it(`of ${kind} a neighbour keeps four fifths of what it did alone`, async () => {
        const name = `bomb-${kind}`;
        const limits = { ...small, pids: '40' };
        let shares: number[] = [];
        // A machine that does other things as well is measured again.
        for (let attempt = 0; attempt < 3 && !shares.some((share) => share > 0.8); attempt += 1) {
          const alone = await rate(uid);
          await pool.client.create(instances, instanceManifest(name, { command: ['sh', '-c', script], requests: small, limits }));
          await eventually(async () => assert.ok((await pool.get(name)).status?.containerID), {
            timeoutMs: 30_000,
            what: 'the bomb to be lit',
          });
          shares = [...shares, (await rate(uid)) / alone];
          await pool.client.delete(instances, { namespace: 'default', name });
          await pool.untilGone(name, 60_000);
        }
        assert.ok(Math.max(...shares) > 0.8, `it kept ${shares.map((share) => share.toFixed(2)).join(', ')}`);
        assert.ok(freeBefore - (await freeBytes()) < 1024 ** 3, 'the bomb took more of the disk than it may');
      });
    }

    it('the agent goes on', async () => {
      await pool.client.create(instances, instanceManifest('after-the-bombs'));
      await pool.untilPhase('after-the-bombs', 'Running', 60_000);
    });
  });

  /** What the neighbour counts in a second, over five. */
  async function rate(uid: string): Promise<number> {
    const counted = async (): Promise<[number, number]> => [Number(await inside(uid, 'cat /count')), performance.now()];
    await eventually(async () => assert.ok((await counted())[0] > 0), { timeoutMs: 20_000, what: 'the neighbour to count' });
    const [first, startedMs] = await counted();
    await eventually(() => assert.ok(performance.now() - startedMs > 5_000), { timeoutMs: 20_000, what: 'five seconds', intervalMs: 200 });
    const [last, endedMs] = await counted();
    return ((last - first) * 1000) / (endedMs - startedMs);
  }

  async function freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(pool.home);
    return bavail * bsize;
  }

  /** Standard output of a command in the instance's container. */
  async function inside(uid: string, script: string): Promise<string> {
    const { Id } = await pool.inspect('desktop', uid);
    const exec = await engine.getContainer(Id).exec({ Cmd: ['sh', '-c', script], AttachStdout: true, AttachStderr: true, Tty: true });
    const stream = await exec.start({ hijack: true, stdin: false, Tty: true });
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks).toString().replaceAll('\r', '');
  }
});
