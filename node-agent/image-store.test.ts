import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLogger } from '../runtime/logger.ts';
import { FakeEngine } from './engine/fake-engine.ts';
import type { ImageInfo, PullProgress } from './engine/engine.ts';
import { createImageStore } from './image-store.ts';
import type { ImageStore } from './image-store.ts';

const info: ImageInfo = { id: 'sha256:1', sizeBytes: 1, digests: [] };

/** An engine whose pulls end when the test says so. */
class SlowEngine extends FakeEngine {
  readonly pulls = new Map<string, PromiseWithResolvers<undefined> & { onProgress: (progress: PullProgress) => void }>();

  override async pullImage(reference: string, onProgress: (progress: PullProgress) => void): Promise<void> {
    const pull = { ...Promise.withResolvers<undefined>(), onProgress };
    this.pulls.set(reference, pull);
    await pull.promise;
    this.images.set(reference, info);
  }
}

describe('the image store', () => {
  let engine: SlowEngine;
  let store: ImageStore;
  let changes: string[];

  beforeEach(() => {
    engine = new SlowEngine();
    changes = [];
    store = createImageStore({ engine, onChange: (reference) => changes.push(reference), logger: silentLogger });
  });
  afterEach(async () => {
    for (const { resolve } of engine.pulls.values()) resolve(undefined);
    await store.stop();
  });

  async function settle(): Promise<void> {
    for (let round = 0; round < 10; round += 1) await turn();
  }

  it('knows what the engine has and what it has not', async () => {
    engine.images.set('a', info);
    await store.check('a');
    await store.check('b');
    assert.deepEqual([store.states.get('a')?.kind, store.states.get('b')?.kind], ['present', 'missing']);
  });

  it('pulls two at a time, each once, the others in their turn', async () => {
    for (const reference of ['a', 'b', 'c', 'a']) store.pull(reference);
    assert.deepEqual([...engine.pulls.keys()], ['a', 'b']);
    engine.pulls.get('a')?.resolve(undefined);
    await settle();
    assert.deepEqual([...engine.pulls.keys()], ['a', 'b', 'c']);
    assert.deepEqual(store.states.get('a'), { kind: 'present', info, pulled: true });
    assert.equal(store.states.get('c')?.kind, 'pulling');
  });

  it('tells of progress at most once a second', async () => {
    store.pull('a');
    changes.length = 0;
    for (let bytes = 0; bytes < 100; bytes += 1) {
      engine.pulls.get('a')?.onProgress({ downloadedBytes: bytes * 1e6, totalBytes: 100e6, layersDone: 0, layers: 2 });
    }
    await settle();
    assert.deepEqual(changes, ['a']);
    assert.deepEqual(store.states.get('a'), { kind: 'pulling', progress: '0.0 of 100.0 MB, 0 of 2 layers done' });
  });

  it('waits longer after each failure', async () => {
    const waits: number[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      store.pull('a');
      engine.pulls.get('a')?.reject(new Error('no such registry'));
      await settle();
      const state = store.states.get('a');
      assert.equal(state?.kind, 'failed');
      waits.push(Math.round((state.retryAtMs - Date.now()) / 1000));
    }
    assert.deepEqual(waits, [10, 20, 40, 80, 160, 300, 300]);
  });

  it('forgets what nobody wants, but not what is being pulled', async () => {
    await store.check('a');
    store.pull('b');
    store.keepOnly(() => false);
    assert.deepEqual([...store.states.keys()], ['b']);
  });
});
