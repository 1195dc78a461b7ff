import assert from 'node:assert/strict';
import { createFakeClock } from './fake-clock.ts';
import { watchLiveness } from './http2-liveness.ts';

type Answer = (error: Error | null) => void;

describe('watchLiveness()', () => {
  function world(): {
    clock: ReturnType<typeof createFakeClock>;
    pings: Answer[];
    deadMs: () => number | undefined;
    check: (ms: number) => void;
  } {
    const clock = createFakeClock();
    const pings: Answer[] = [];
    let deadMs: number | undefined;
    const session = { destroyed: false, ping: (answer: Answer) => pings.push(answer) > 0 };
    const liveness = watchLiveness({ session: session as never, onDead: () => (deadMs = clock.monotonicMs()), clock });
    return { clock, pings, deadMs: () => deadMs, check: (ms) => liveness.check(ms) };
  }

  it('is content with answers, late ones too', () => {
    const { clock, pings, deadMs } = world();
    for (let round = 0; round < 20; round += 1) {
      clock.advance(10_000);
      if (round % 2 === 1) for (const answer of pings.splice(0)) answer(null);
    }
    assert.equal(deadMs(), undefined);
  });

  it('gives up thirty seconds after the last answer at the latest', () => {
    const { clock, pings, deadMs } = world();
    clock.advance(10_000);
    pings[0]?.(null);
    clock.advance(60_000);
    assert.equal(deadMs(), 40_000);
    assert.equal(pings.length, 3);
  });

  it('gives up at once after a check that has no answer, and goes on after one that has', () => {
    const { clock, pings, deadMs, check } = world();
    check(3_000);
    pings[0]?.(null);
    clock.advance(12_000);
    assert.equal(deadMs(), undefined);
    check(3_000);
    clock.advance(3_000);
    assert.equal(deadMs(), 15_000);
  });
});
