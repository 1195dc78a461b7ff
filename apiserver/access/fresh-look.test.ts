import assert from 'node:assert/strict';
import { FreshLook } from './fresh-look.ts';

describe('FreshLook', () => {
  it('looks once for all who came before it began, and again for who came later', async () => {
    let looks = 0;
    const opened = Promise.withResolvers<undefined>();
    const began = Promise.withResolvers<undefined>();
    const fresh = new FreshLook(async () => {
      looks += 1;
      began.resolve(undefined);
      await opened.promise;
    });
    const first = [fresh.look(), fresh.look(), fresh.look()];
    await began.promise;
    const second = [fresh.look(), fresh.look()];
    assert.equal(looks, 1);
    opened.resolve(undefined);
    await Promise.all([...first, ...second]);
    assert.equal(looks, 2);
  });

  it('does not look more often than it may, nor lets any number wait', async () => {
    let looks = 0;
    const fresh = new FreshLook(() => {
      looks += 1;
      return Promise.resolve();
    });
    const startedAt = performance.now();
    for (let round = 0; round < 4; round += 1) await Promise.all(Array.from({ length: 1000 }, () => fresh.look()));
    assert.equal(looks, 4);
    assert.ok(performance.now() - startedAt >= 3 * 45, 'three pauses');
  });

  it('says when the store cannot be asked, and goes on after it', async () => {
    let fails = true;
    const fresh = new FreshLook(() => (fails ? Promise.reject(new Error('away')) : Promise.resolve()));
    await assert.rejects(fresh.look(), /away/u);
    fails = false;
    await fresh.look();
  });
});
