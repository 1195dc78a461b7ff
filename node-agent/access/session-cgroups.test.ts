import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SessionCgroups } from './session-cgroups.ts';

/** As `/proc/<pid>/cgroup` and `/proc/self/mountinfo` were on a machine of each kind. */
const version1 = {
  cgroup: '9:name=systemd:/potluck-1/c1\n8:pids:/potluck-1/c1\n6:freezer:/potluck-1/c1\n0::/\n',
  mountinfo: `31 30 0:27 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
32 30 0:28 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`,
  parent: 'sys/fs/cgroup/freezer/potluck-1/c1',
};
const version2 = {
  cgroup: '0::/potluck-1/c1\n',
  mountinfo: '30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n',
  parent: 'sys/fs/cgroup/potluck-1/c1',
};

describe('SessionCgroups', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-cgroups-'));
  });
  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  async function makeMachine({ cgroup, mountinfo, parent }: typeof version1): Promise<string> {
    for (const [path, text] of [
      ['proc/42/cgroup', cgroup],
      ['proc/self/mountinfo', mountinfo],
    ] as const) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
    await mkdir(join(root, parent), { recursive: true });
    return join(root, parent);
  }

  for (const [name, machine] of Object.entries({ version1, version2 })) {
    it(`encloses a process below its container's group, ${name}`, async () => {
      const parent = await makeMachine(machine);
      const path = await new SessionCgroups({ root }).enclose(42, 'c1', 'abc');
      assert.equal(path, join(parent, 'potluck-session-abc'));
      assert.equal(await readFile(join(path, 'cgroup.procs'), 'utf8'), '42');
    });
  }

  it('encloses no process of another container', async () => {
    await makeMachine(version2);
    await assert.rejects(new SessionCgroups({ root }).enclose(42, 'c2', 'abc'), /process 42 is not in the control group of container c2/);
    await assert.rejects(new SessionCgroups({ root }).enclose(43, 'c1', 'abc'), /there is no process 43/);
  });

  it('freezes before it kills, so that nothing is started meanwhile, version 1', async () => {
    const path = join(await makeMachine(version1), 'potluck-session-abc');
    await mkdir(path);
    await writeFile(join(path, 'cgroup.procs'), '7\n8\n');
    await writeFile(join(path, 'freezer.state'), 'THAWED\n');
    const killed: number[] = [];
    const kill = (pid: number): void => {
      assert.match(readFileSync(join(path, 'freezer.state'), 'utf8'), /^FROZEN/);
      killed.push(pid);
      writeFileSync(join(path, 'cgroup.procs'), pid === 7 ? '8\n' : '');
    };
    await new SessionCgroups({ root, kill }).end(path);
    assert.deepEqual(killed, [7, 8]);
    assert.match(await readFile(join(path, 'freezer.state'), 'utf8'), /^THAWED/, 'and thaws, or the killed would never end');
  });

  it('leaves killing to the kernel where it can, version 2', async () => {
    const path = join(await makeMachine(version2), 'potluck-session-abc');
    await mkdir(path);
    await writeFile(join(path, 'cgroup.procs'), '7\n');
    await writeFile(join(path, 'cgroup.kill'), '');
    const kernel = setInterval(() => {
      void readFile(join(path, 'cgroup.kill'), 'utf8').then((text) =>
        text === '1' ? writeFile(join(path, 'cgroup.procs'), '') : undefined,
      );
    }, 1);
    const kill = (): void => assert.fail('nothing is to be killed one by one');
    try {
      await new SessionCgroups({ root, kill }).end(path);
    } finally {
      clearInterval(kernel);
    }
  });

  it('takes an empty group away, and keeps one in which something runs', async () => {
    const parent = await makeMachine(version2);
    const path = join(parent, 'potluck-session-abc');
    await mkdir(path);
    const cgroups = new SessionCgroups({ root });
    assert.equal(await cgroups.release(path), true);
    assert.deepEqual(await readdir(parent), []);
    await mkdir(path);
    await writeFile(join(path, 'cgroup.procs'), '7\n');
    assert.equal(await cgroups.release(path), false);
    await assert.rejects(cgroups.end(parent), /is no group of a session/);
  });
});
