import assert from 'node:assert/strict';
import { KnownGood } from './pool-glance.ts';

describe('KnownGood', () => {
  /** A machine of one line, on which others may write at any moment. */
  class World {
    state = 'whole';
    mended = 0;
    duringMend: () => void = () => undefined;
    canLook = true;
    readonly #known = new KnownGood();

    keep(): Promise<void> {
      return this.#known.keep({
        look: () => (this.canLook ? Promise.resolve(this.state) : Promise.reject(new Error('no'))),
        mend: () => {
          const wasWhole = this.state === 'whole';
          this.mended += 1;
          this.state = 'whole';
          this.duringMend();
          return Promise.resolve(wasWhole);
        },
      });
    }
  }

  it('mends once where nothing is wrong, and looks from then on', async () => {
    const world = new World();
    for (let round = 0; round < 5; round += 1) await world.keep();
    assert.equal(world.mended, 1);
  });

  it('mends what was broken, and is at rest again when a mending found nothing to do', async () => {
    const world = new World();
    await world.keep();
    world.state = 'flushed';
    await world.keep();
    assert.deepEqual([world.mended, world.state], [2, 'whole']);
    for (let round = 0; round < 5; round += 1) await world.keep();
    assert.equal(world.mended, 3);
  });

  for (const before of ['whole', 'flushed']) {
    it(`never takes for whole what somebody broke while it was mended, ${before} before`, async () => {
      const world = new World();
      world.state = before;
      world.duringMend = () => (world.state = 'flushed');
      await world.keep();
      world.duringMend = () => undefined;
      await world.keep();
      assert.equal(world.state, 'whole');
    });
  }

  it('mends where it cannot look', async () => {
    const world = new World();
    world.canLook = false;
    await world.keep();
    await world.keep();
    assert.equal(world.mended, 2);
  });
});
