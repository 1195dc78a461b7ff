import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findLeftovers, processesOf, readSurroundings, runVariable } from './leftovers.ts';
import { chooseSteps } from './steps.ts';

describe('the gate', () => {
  it('finds the processes and files that a run left, and no others', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'leftovers-'));
    const run = `test-${process.pid}`;
    const before = await readSurroundings();
    assert.deepEqual(await processesOf(run), []);
    const child = spawn('sleep', ['60'], { env: { ...process.env, [runVariable]: run }, detached: true, stdio: 'ignore' });
    try {
      await once(child, 'spawn');
      await writeFile(join(directory, 'forgotten'), '');
      const found = await findLeftovers(run, directory, before);
      assert.ok(found.includes(`process ${child.pid ?? 0}: sleep 60`), found.join('\n'));
      assert.ok(found.includes(`file ${join(directory, 'forgotten')}`), found.join('\n'));
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
      await rm(directory, { recursive: true });
    }
    assert.deepEqual(await processesOf(run), []);
  });

  it('runs what was asked for, in its own order, and names what does not exist', () => {
    const names = (asked: string[]): unknown => {
      const chosen = chooseSteps(asked);
      return 'steps' in chosen ? chosen.steps.map((step) => step.name) : chosen.unknown;
    };
    assert.deepEqual(names(['unit', 'layers']), ['layers', 'unit']);
    assert.deepEqual(names(['checks']), ['types', 'lint', 'format', 'generated', 'layers', 'dead-code']);
    assert.deepEqual(names(['units']), ['units']);
    assert.equal((names([]) as string[]).length, 11);
  });
});
