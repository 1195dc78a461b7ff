import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reapSandbox, sandboxOf } from './sandbox-orphans.ts';

const id = 'ab'.repeat(32);
const bundle = `/var/lib/potluck/engine/exec/containerd/io.containerd.runtime.v2.task/moby/${id}`;
/** As seen of gVisor 20221219. */
const sandbox = [
  'runsc-sandbox',
  '--root=/run/containerd/runsc/moby',
  '--log-format=json',
  'boot',
  `--bundle=${bundle}`,
  '--cpu-num',
  '2',
  id,
].join('\0');
const gofer = ['/usr/bin/runsc-gofer', '--root=/run/containerd/runsc/moby', 'gofer', '--bundle', bundle, '--io-fds=3'].join('\0');

describe('what gVisor leaves behind', () => {
  it('is known by its bundle', () => {
    assert.equal(sandboxOf(sandbox), id);
    assert.equal(sandboxOf(gofer), id);
    assert.equal(sandboxOf(['cat', `--bundle=${bundle}`].join('\0')), undefined);
    assert.equal(sandboxOf(['runsc', 'list'].join('\0')), undefined);
    assert.equal(sandboxOf(''), undefined);
  });

  it('is ended for one container, and for no other', async () => {
    const root = await mkdtemp(join(tmpdir(), 'potluck-proc-'));
    try {
      const other = sandbox.replaceAll(id, 'cd'.repeat(32));
      for (const [pid, line] of [
        ['11', sandbox],
        ['12', gofer],
        ['13', other],
        ['14', 'sh'],
      ] as const) {
        await mkdir(join(root, pid));
        await writeFile(join(root, pid, 'cmdline'), line);
      }
      await mkdir(join(root, '15'));
      const killed: number[] = [];
      assert.equal(await reapSandbox(root, id, (pid) => killed.push(pid)), 2);
      assert.deepEqual(killed.sort(), [11, 12]);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
