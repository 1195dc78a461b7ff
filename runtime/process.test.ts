import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Runs a program that calls runProcess() with `start`, the source of a function. */
function run(start: string, options = ''): { child: ChildProcess; output: () => string; printed: (text: string) => Promise<void> } {
  const source = `
    import { runProcess } from ${JSON.stringify(join(import.meta.dirname, 'process.ts'))};
    import { UserError } from ${JSON.stringify(join(import.meta.dirname, '../api/errors.ts'))};
    const say = (text) => process.stdout.write(text + '\\n');
    const log = (level) => (message, fields) => say(level + ' ' + message + ' ' + (fields?.error?.message ?? fields?.reason ?? ''));
    const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error'), child: () => logger };
    const keepAlive = setInterval(() => undefined, 1000);
    runProcess({ name: 'test', logger, start: ${start}, ${options} });
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const waiters: (() => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const wake of waiters.splice(0)) wake();
    });
  }
  child.once('close', () => {
    for (const wake of waiters.splice(0)) wake();
  });
  return {
    child,
    output: () => text,
    printed: async (wanted) => {
      while (!text.includes(wanted)) {
        assert.equal(child.exitCode, null, `it ended without "${wanted}": ${text}`);
        await new Promise<void>((resolve) => waiters.push(resolve));
      }
    },
  };
}

async function codeOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  return child.exitCode;
}

describe('runProcess()', () => {
  it('stops in order on SIGTERM and ends with 0', async () => {
    const { child, output, printed } = run(`async () => (say('up'), { stop: async () => say('stopped') })`);
    await printed('up');
    child.kill('SIGTERM');
    assert.equal(await codeOf(child), 0);
    assert.match(output(), /up\ninfo stopping SIGTERM\nstopped\n/);
  });

  it('ends at once on the second signal', async () => {
    const { child, printed } = run(`async () => (say('up'), { stop: () => (say('stopping now'), new Promise(() => {})) })`);
    await printed('up');
    child.kill('SIGINT');
    await printed('stopping now');
    child.kill('SIGINT');
    assert.equal(await codeOf(child), 130);
  });

  it('takes a signal that comes again within echoMs for the same one', async () => {
    const start = `async () => {
      let count = 0;
      process.on('SIGINT', () => say('signal ' + (count += 1)));
      say('up');
      return { stop: () => new Promise(() => {}) };
    }`;
    const { child, printed } = run(start, 'echoMs: 60_000');
    await printed('up');
    child.kill('SIGINT');
    await printed('signal 1');
    child.kill('SIGINT');
    await printed('signal 2');
    child.kill('SIGKILL');
    assert.equal(await codeOf(child), null);
  });

  it('ends with 1 when the stop takes too long', async () => {
    const { child, output, printed } = run(`async () => (say('up'), { stop: () => new Promise(() => {}) })`, 'stopTimeoutMs: 100');
    await printed('up');
    child.kill('SIGTERM');
    assert.equal(await codeOf(child), 1);
    assert.match(output(), /error not everything stopped in time/);
  });

  it('aborts the start, and stops what the start still brings up', async () => {
    const { child, output, printed } = run(
      `async ({ signal }) => (say('starting'), await new Promise((go) => signal.addEventListener('abort', go)), { stop: async () => say('stopped') })`,
    );
    await printed('starting');
    child.kill('SIGTERM');
    assert.equal(await codeOf(child), 0);
    assert.match(output(), /stopped\n$/);
  });

  it('prints a UserError as its one line and ends with 1', async () => {
    const { child, output } = run(`async () => { throw new UserError('PORT_IN_USE', 'port 6443 is taken', 'Choose another.'); }`);
    assert.equal(await codeOf(child), 1);
    assert.equal(output(), 'PLK001 port 6443 is taken. Choose another.\n');
  });

  it('logs what nobody caught and ends with 1', async () => {
    const rejected = run(`async () => (Promise.reject(new Error('forgotten')), { stop: async () => {} })`);
    assert.equal(await codeOf(rejected.child), 1);
    assert.match(rejected.output(), /error unexpected failure forgotten/);
    const thrown = run(`async () => (setImmediate(() => { throw new Error('thrown'); }), { stop: async () => {} })`);
    assert.equal(await codeOf(thrown.child), 1);
    assert.match(thrown.output(), /error unexpected failure thrown/);
  });

  it('stops in order when its work is done or fails for good', async () => {
    const done = run(`async () => ({ stop: async () => say('stopped'), done: Promise.resolve() })`);
    assert.deepEqual([await codeOf(done.child), /stopped/.test(done.output())], [0, true]);
    const failed = run(`async ({ fail }) => (setImmediate(() => fail(new Error('etcd is gone'))), { stop: async () => say('stopped') })`);
    assert.equal(await codeOf(failed.child), 1);
    assert.match(failed.output(), /error failed etcd is gone[^]*stopped/);
  });

  it('stops when its parent is gone, where that is wanted', async () => {
    const shell = spawn(
      '/bin/sh',
      [
        '-c',
        `"$0" --input-type=module -e "
          import { runProcess } from '${join(import.meta.dirname, 'process.ts')}';
          const logger = { info() {}, error() {}, child: () => logger };
          setInterval(() => {}, 1000);
          runProcess({ name: 'test', logger, stopWithParent: true,
            start: async () => (console.log('up'), { stop: async () => console.log('stopped') }) });
        " & wait`,
        process.execPath,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let text = '';
    const closed = once(shell.stdout, 'close');
    await new Promise<void>((resolve) => {
      shell.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('up')) resolve();
      });
    });
    shell.kill('SIGKILL');
    await closed;
    assert.equal(text, 'up\nstopped\n');
  });
});
