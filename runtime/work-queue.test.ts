import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createFakeClock } from './fake-clock.ts';
import { createWorkQueue } from './work-queue.ts';
import type { WorkQueue } from './work-queue.ts';

describe('the work queue', () => {
  const backoff = { baseMs: 50, capMs: 30_000 };

  function create(random = 0.999) {
    const clock = createFakeClock();
    return { clock, queue: createWorkQueue({ clock, random: () => random, backoff }) };
  }

  /** What is handed out now, without waiting. */
  async function takeNow(queue: WorkQueue): Promise<string | undefined> {
    return queue.depth === 0 ? undefined : queue.take();
  }

  it('hands a key out once, however often it was added', async () => {
    const { queue } = create();
    queue.add('a');
    queue.add('a');
    queue.add('b');
    queue.add('a');
    assert.deepEqual([await queue.take(), await queue.take(), queue.depth], ['a', 'b', 0]);
  });

  it('hands a key that was added during its work out again only when that work is done', async () => {
    const { queue } = create();
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    assert.equal(queue.depth, 0);
    queue.done('a');
    assert.equal(await takeNow(queue), 'a');
    queue.done('a');
    assert.equal(queue.depth, 0);
  });

  it('keeps the earliest of several delays', async () => {
    const { clock, queue } = create();
    queue.addAfter('a', 5000);
    queue.addAfter('a', 1000);
    queue.addAfter('a', 9000);
    clock.advance(999);
    assert.equal(queue.depth, 0);
    clock.advance(1);
    assert.equal(await takeNow(queue), 'a');
    assert.equal(clock.pendingTimers, 0);
  });

  it('keeps a delay when the key is added at once in between', async () => {
    const { clock, queue } = create();
    queue.addAfter('a', 1000);
    queue.add('a');
    queue.done((await queue.take())!);
    clock.advance(1000);
    assert.equal(await takeNow(queue), 'a');
  });

  it('doubles the longest wait with each retry up to the cap, and starts over after forget()', () => {
    const { clock, queue } = create(0.9999999);
    const waits: number[] = [];
    for (let retry = 0; retry < 12; retry += 1) {
      waits.push(queue.addRateLimited('a') + 1);
      clock.advance(30_000);
    }
    assert.deepEqual(waits, [50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30_000, 30_000]);
    assert.equal(queue.retries('a'), 12);
    queue.forget('a');
    assert.equal(queue.addRateLimited('a') + 1, 50);
    assert.equal(queue.retries('b'), 0);
  });

  it('ends waits and waiters at shutDown(), and takes nothing in after it', async () => {
    const { clock, queue } = create();
    const taken = queue.take();
    queue.addAfter('a', 10);
    queue.shutDown();
    queue.add('b');
    queue.addAfter('c', 10);
    assert.equal(await taken, undefined);
    assert.equal(await queue.take(), undefined);
    assert.deepEqual([queue.depth, clock.pendingTimers], [0, 0]);
  });

  type Step =
    | { kind: 'add' | 'addAfter' | 'addRateLimited' | 'finish'; key: string; ms: number }
    | { kind: 'take'; key: ''; ms: 0 }
    | { kind: 'pass'; key: ''; ms: number };
  const keys = fc.constantFrom('a', 'b', 'c');
  const times = fc.integer({ min: 0, max: 500 });
  const nothing = fc.constant<''>('');
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      kind: fc.constantFrom('add' as const, 'addAfter' as const, 'addRateLimited' as const, 'finish' as const),
      key: keys,
      ms: times,
    }),
    fc.record({ kind: fc.constant('take' as const), key: nothing, ms: fc.constant<0>(0) }),
    fc.record({ kind: fc.constant('pass' as const), key: nothing, ms: times }),
  );

  it('never hands a key out twice at a time and loses none, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const { clock, queue } = create(0.5);
        const working = new Set<string>();
        const wanted = new Set<string>();
        const dueMs = new Map<string, number>();
        const wantAt = (key: string, ms: number): void => {
          if (ms <= 0) wanted.add(key);
          else dueMs.set(key, Math.min(dueMs.get(key) ?? Infinity, clock.monotonicMs() + ms));
        };
        const take = async (): Promise<void> => {
          const key = await takeNow(queue);
          if (key === undefined) return;
          assert.ok(!working.has(key), `${key} is worked on twice`);
          assert.ok(wanted.delete(key), `${key} was not wanted`);
          working.add(key);
        };
        const finish = (key: string): void => {
          if (working.delete(key)) queue.done(key);
        };
        const pass = (ms: number): void => {
          clock.advance(ms);
          for (const [key, due] of dueMs) {
            if (due > clock.monotonicMs()) continue;
            dueMs.delete(key);
            wanted.add(key);
          }
        };
        for (const { kind, key, ms } of [...steps, { kind: 'pass', key: '', ms: 60_000 } as const]) {
          if (kind === 'take') await take();
          else if (kind === 'pass') pass(ms);
          else if (kind === 'finish') finish(key);
          else if (kind === 'addRateLimited') wantAt(key, queue.addRateLimited(key));
          else {
            wantAt(key, kind === 'add' ? 0 : ms);
            if (kind === 'add') queue.add(key);
            else queue.addAfter(key, ms);
          }
          assert.equal(queue.depth, [...wanted].filter((wantedKey) => !working.has(wantedKey)).length);
        }
        for (const key of [...working]) finish(key);
        while (queue.depth > 0) await take();
        assert.deepEqual([...wanted], [], 'keys were lost');
      }),
      { numRuns: 500 },
    );
  });
});
