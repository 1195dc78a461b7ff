import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChildError, superviseChild } from './child-process.ts';
import type { ChildOptions, SupervisedChild } from './child-process.ts';
import { silentLogger } from './logger.ts';
import { findSurvivor, writePidFile } from './pid-file.ts';

describe('superviseChild()', () => {
  let folder: string;
  let children: SupervisedChild[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'child-test-'));
    children = [];
  });

  afterEach(async () => {
    await Promise.all(children.map((child) => child.stop()));
    await rm(folder, { recursive: true });
  });

  function supervise(script: string, options: Partial<ChildOptions> = {}): SupervisedChild {
    const child = superviseChild({
      name: 'test child',
      command: '/bin/sh',
      args: ['-c', script],
      logFile: join(folder, 'logs', 'child.log'),
      pidFile: join(folder, 'run', 'child.pid'),
      logger: silentLogger,
      restart: { baseMs: 1, capMs: 10 },
      ...options,
    });
    children.push(child);
    return child;
  }

  const readyFile = (): ChildOptions['readiness'] => ({
    check: () => Promise.resolve(existsSync(join(folder, 'ready'))),
    timeoutMs: 10_000,
    intervalMs: 5,
  });

  it('starts when the readiness check says so, and stop() ends the process', async () => {
    const child = supervise(`echo up; touch ${folder}/ready; exec sleep 1000`, { readiness: readyFile()! });
    await child.start();
    assert.equal(child.state, 'ready');
    const pid = child.pid!;
    assert.equal(await readFile(join(folder, 'logs/child.log'), 'utf8'), 'up\n');
    await child.stop();
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.equal(existsSync(join(folder, 'run/child.pid')), false);
  });

  it('rejects with the last lines of the log when the child ends before it is ready', async () => {
    const child = supervise('echo first; echo cannot bind >&2; exit 3', { readiness: readyFile()! });
    await assert.rejects(child.start(), (error) => {
      assert.ok(error instanceof ChildError);
      assert.deepEqual(error.lastLines, ['first', 'cannot bind']);
      assert.match(error.message, /ended before it was ready \(exit code 3\)/);
      return true;
    });
    assert.equal(child.pid, undefined);
  });

  it('rejects when the child is not ready in time, and leaves nothing running', async () => {
    const child = supervise(`echo $$ > ${folder}/pid; echo slow; exec sleep 1000`, {
      readiness: { check: () => Promise.resolve(false), timeoutMs: 300, intervalMs: 5 },
    });
    await assert.rejects(child.start(), /was not ready after 0.3 s; its log ends with:\n {2}slow/);
    const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });

  it('says with a remedy that the program does not exist', async () => {
    const child = supervise('', { command: '/no/such/etcd', args: [], name: 'etcd' });
    await assert.rejects(child.start(), { name: 'UserError', code: 'PLK002' });
  });

  it('restarts a child that died, and whenReady() waits for the new one', async () => {
    const exits: unknown[] = [];
    const exited = Promise.withResolvers<undefined>();
    const child = supervise('exec sleep 1000', {
      onExit: (exit) => {
        exits.push(exit.signal);
        exited.resolve(undefined);
      },
    });
    await child.start();
    const before = child.pid;
    child.kill('SIGKILL');
    await exited.promise;
    await child.whenReady();
    assert.notEqual(child.pid, before);
    assert.deepEqual(exits, ['SIGKILL']);
    assert.equal(child.restarts, 1);
  });

  it('reports a crash loop once, with the last lines, and goes on trying', async () => {
    const loops: ChildError[] = [];
    const enough = Promise.withResolvers<undefined>();
    let exits = 0;
    const child = supervise('echo dying; exit 1', {
      restart: { baseMs: 1, capMs: 2, crashLoopAfter: 3 },
      onCrashLoop: (error) => loops.push(error),
      onExit: () => {
        exits += 1;
        if (exits === 6) enough.resolve(undefined);
      },
    });
    await child.start();
    await enough.promise;
    assert.equal(loops.length, 1);
    assert.match(loops[0]!.message, /ended 3 times in a row; its log ends with:\n {2}dying/);
  });

  it('kills the whole process group of a child that ignores the stop signal', async () => {
    const child = supervise(`trap '' TERM; sleep 1000 & echo $! > ${folder}/grandchild; touch ${folder}/ready; while :; do wait; done`, {
      readiness: readyFile()!,
      stopTimeoutMs: 100,
    });
    await child.start();
    const grandchild = Number(await readFile(join(folder, 'grandchild'), 'utf8'));
    await child.stop();
    assert.match(await stateOf(grandchild), /^(gone|Z)$/);
  });

  it('ends what an earlier run left behind before it starts', async () => {
    const survivor = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    await once(survivor, 'spawn');
    const ended = new Promise((resolve) => survivor.once('exit', (_, signal) => resolve(signal)));
    await writePidFile(join(folder, 'run/child.pid'), survivor.pid!, ['sleep', '1000']);
    const child = supervise('', { command: 'env', args: ['sleep', '1000'] });
    await child.start();
    assert.equal(await ended, 'SIGTERM');
    assert.deepEqual(await findSurvivor(join(folder, 'run/child.pid')), { kind: 'ours', pid: child.pid });
  });

  it('leaves a stranger alone that has the number of an earlier child', async () => {
    const file = join(folder, 'run/child.pid');
    const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' });
    try {
      await writePidFile(file, stranger.pid!, ['sleep', '1000']);
      const record = JSON.parse(await readFile(file, 'utf8')) as { startTicks: string };
      await writeFile(file, JSON.stringify({ ...record, startTicks: String(Number(record.startTicks) - 1) }));
      await supervise('exec sleep 1000').start();
      assert.equal(stranger.exitCode ?? stranger.signalCode, null);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('asks a person when the number and start time are right but the command is another', async () => {
    const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' });
    try {
      await writePidFile(join(folder, 'run/child.pid'), stranger.pid!, ['/usr/bin/etcd', '--data-dir=x']);
      await assert.rejects(supervise('exec sleep 1000').start(), { name: 'UserError', code: 'PLK011' });
      assert.equal(stranger.exitCode ?? stranger.signalCode, null);
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('keeps the log bounded, and lets the child write on', async () => {
    const { openChildLog, readLastLines, rotateChildLog, sizeOf } = await import('./child-log.ts');
    const log = { file: join(folder, 'child.log'), maxBytes: 100, keep: 2 };
    const handle = await openChildLog(log);
    try {
      for (let round = 0; round < 5; round += 1) {
        await handle.write(`${String(round).repeat(150)}\n`);
        assert.equal(await rotateChildLog(log), true);
      }
      await handle.write('last\n');
      assert.equal(await rotateChildLog(log), false);
      assert.deepEqual(await readLastLines(log.file, 10), ['last']);
      assert.deepEqual(await readLastLines(`${log.file}.1`, 10), ['4'.repeat(150)]);
      assert.deepEqual(await readLastLines(`${log.file}.2`, 10), ['3'.repeat(150)]);
      assert.equal(await sizeOf(`${log.file}.3`), -1);
    } finally {
      await handle.close();
    }
  });
});

async function stateOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0]!;
  } catch {
    return 'gone';
  }
}
