import assert from 'node:assert/strict';
import { ApiError } from '../client/client.ts';
import { createFakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { noControllerMetrics } from './controller-metrics.ts';
import { recheckAfter, settled, StalledError, WaitingError } from './controller.ts';
import type { Controller, Outcome, ReconcileContext } from './controller.ts';
import type { Logger } from './logger.ts';
import { createManager } from './manager.ts';
import type { Manager } from './manager.ts';
import { createMetrics } from './metrics.ts';

interface Line {
  level: string;
  message: string;
  fields: Readonly<Record<string, unknown>>;
}

function recordingLogger(lines: Line[], own: Readonly<Record<string, unknown>> = {}): Logger {
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields: { ...own, ...fields } });
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => recordingLogger(lines, { ...own, ...fields }),
  };
}

/** Lets every promise that can go on do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('the manager', () => {
  let clock: FakeClock;
  let lines: Line[];
  let manager: Manager;
  let passes: string[];

  beforeEach(() => {
    clock = createFakeClock();
    lines = [];
    passes = [];
    manager = createManager({ logger: recordingLogger(lines), clock, random: () => 0.999, passTimeoutMs: 1000, abortGraceMs: 500 });
  });

  /** Adds a controller that runs `reconcile`, starts the manager, and answers how keys are enqueued. */
  function run(
    reconcile: (key: string, context: ReconcileContext) => Promise<Outcome>,
    concurrency = 1,
  ): (key: string, delayMs?: number) => void {
    let enqueue: ((key: string, delayMs?: number) => void) | undefined;
    const controller: Controller = {
      name: 'test-duty',
      concurrency,
      start: (add) => {
        enqueue = add;
      },
      reconcile: (key, context) => {
        passes.push(key);
        return reconcile(key, context);
      },
    };
    manager.add(controller);
    manager.start();
    return enqueue!;
  }

  it('runs a pass for a key, and another after the time that the pass asked for', async () => {
    const enqueue = run(() => Promise.resolve(passes.length === 1 ? recheckAfter(5000) : settled));
    enqueue('a');
    await settle();
    clock.advance(4999);
    await settle();
    assert.deepEqual(passes, ['a']);
    clock.advance(1);
    await settle();
    assert.deepEqual(passes, ['a', 'a']);
    clock.advance(100_000);
    await settle();
    assert.equal(passes.length, 2);
  });

  it('tries again after a failure with growing waits, and starts over after a success', async () => {
    const enqueue = run(() => (passes.length === 4 ? Promise.resolve(settled) : Promise.reject(new Error('no'))));
    enqueue('a');
    await settle();
    for (const waitMs of [49, 99, 199]) {
      clock.advance(waitMs - 1);
      await settle();
      const before = passes.length;
      clock.advance(1);
      await settle();
      assert.equal(passes.length, before + 1);
    }
    enqueue('a');
    await settle();
    assert.deepEqual(
      lines.filter(({ level }) => level === 'warn').map(({ fields }) => [fields['key'], fields['retries'], fields['retryMs']]),
      [
        ['a', 0, 49],
        ['a', 1, 99],
        ['a', 2, 199],
        ['a', 0, 49],
      ],
    );
  });

  it('does not retry a stalled key, and runs it again when it is enqueued', async () => {
    const enqueue = run(() => Promise.reject(new StalledError('BadImage', 'no such image')));
    enqueue('a');
    await settle();
    clock.advance(1_000_000);
    await settle();
    assert.equal(passes.length, 1);
    assert.deepEqual(
      lines.filter(({ level }) => level !== 'debug').map(({ level, fields }) => [level, fields['reason'], fields['controller']]),
      [['warn', 'BadImage', 'test-duty']],
    );
    enqueue('a');
    await settle();
    assert.equal(passes.length, 2);
  });

  it('retries quietly what waits for something else, and what met a conflict', async () => {
    const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Conflict' } as const;
    const failures = [new WaitingError('NoLease', 'no lease yet'), new ApiError(409, status, 'changed')];
    const enqueue = run(() => {
      const failure = failures.shift();
      return failure === undefined ? Promise.resolve(settled) : Promise.reject(failure);
    });
    enqueue('a');
    await settle();
    clock.advance(1000);
    await settle();
    clock.advance(1000);
    await settle();
    assert.equal(passes.length, 3);
    assert.deepEqual(
      lines.filter(({ level }) => level !== 'debug'),
      [],
    );
  });

  it('goes on after a reconciler that throws before it answers a promise', async () => {
    const enqueue = run((key) => {
      if (key === 'bad') throw new TypeError('undefined is not a function');
      return Promise.resolve(settled);
    });
    enqueue('bad');
    enqueue('good');
    await settle();
    assert.deepEqual(passes, ['bad', 'good']);
  });

  it('aborts a pass that takes too long, and retries it', async () => {
    const enqueue = run((_key, { signal }) => {
      if (passes.length > 1) return Promise.resolve(settled);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted somehow'))));
    });
    enqueue('a');
    await settle();
    clock.advance(1000);
    await settle();
    assert.match(String(lines.find(({ level }) => level === 'warn')?.fields['error']), /the pass took longer than 1 s/);
    clock.advance(50);
    await settle();
    assert.equal(passes.length, 2);
  });

  it('gives the worker of a pass that never ends to other keys, but never runs that key beside it', async () => {
    const stuck = Promise.withResolvers<Outcome>();
    const enqueue = run((key) => (key === 'stuck' && passes.length === 1 ? stuck.promise : Promise.resolve(settled)));
    enqueue('stuck');
    enqueue('other');
    enqueue('stuck');
    await settle();
    clock.advance(1500);
    await settle();
    enqueue('stuck');
    await settle();
    assert.deepEqual(passes, ['stuck', 'other']);
    stuck.resolve(settled);
    await settle();
    assert.deepEqual(passes, ['stuck', 'other', 'stuck']);
  });

  it('never works on more keys at once than the controller allows', async () => {
    const ends: (() => void)[] = [];
    const enqueue = run(() => new Promise((resolve) => ends.push(() => resolve(settled))), 3);
    for (const key of ['a', 'b', 'c', 'd', 'e']) enqueue(key);
    await settle();
    assert.deepEqual(passes, ['a', 'b', 'c']);
    ends.shift()!();
    await settle();
    assert.deepEqual(passes, ['a', 'b', 'c', 'd']);
  });

  it('stop() aborts what runs, waits for it, and starts nothing more', async () => {
    let isAborted = false;
    const end = Promise.withResolvers<Outcome>();
    const enqueue = run((_key, { signal }) => {
      signal.addEventListener('abort', () => {
        isAborted = true;
      });
      return end.promise;
    });
    enqueue('a');
    enqueue('b');
    await settle();
    let isStopped = false;
    const stopped = manager.stop().then(() => {
      isStopped = true;
    });
    await settle();
    assert.deepEqual([isAborted, isStopped], [true, false]);
    end.resolve(settled);
    await stopped;
    enqueue('c');
    await settle();
    assert.deepEqual(passes, ['a']);
  });

  it('stop() names the controllers whose passes hang', async () => {
    const enqueue = run(() => Promise.withResolvers<Outcome>().promise);
    enqueue('a');
    await settle();
    const stopped = manager.stop();
    clock.advance(10_000);
    await assert.rejects(stopped, /passes still run after 10 s: test-duty/);
  });

  it('refuses two controllers of one name, and one that comes after the start', () => {
    const controller: Controller = { ...noDuty, name: 'twin' };
    manager.add(controller);
    assert.throws(() => manager.add(controller), /two controllers named twin/);
    manager.start();
    assert.throws(() => manager.add({ ...noDuty, name: 'late' }), /late comes too late/);
  });

  it('measures under the names of controller-runtime', async () => {
    const { registry, controllers } = createMetrics();
    manager = createManager({ logger: recordingLogger(lines), clock, metrics: { ...noControllerMetrics, ...controllers } });
    const enqueue = run(() => (passes.length === 1 ? Promise.reject(new Error('no')) : Promise.resolve(settled)));
    enqueue('a');
    await settle();
    clock.advance(50);
    await settle();
    const text = await registry.metrics();
    assert.match(text, /^controller_runtime_reconcile_total\{controller="test-duty",result="success"\} 1$/m);
    assert.match(text, /^controller_runtime_reconcile_total\{controller="test-duty",result="error"\} 1$/m);
    assert.match(text, /^controller_runtime_active_workers\{controller="test-duty"\} 0$/m);
    assert.match(text, /^workqueue_adds_total\{name="test-duty"\} 2$/m);
    assert.match(text, /^workqueue_depth\{name="test-duty"\} 0$/m);
    registry.clear();
  });
});

const noDuty: Controller = { name: 'none', concurrency: 1, start: () => undefined, reconcile: () => Promise.resolve(settled) };
