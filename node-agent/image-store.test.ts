import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLogger } from '../runtime/logger.ts';
import { FakeEngine } from './engine/fake-engine.ts';
import type { ImageInfo, PullProgress } from './engine/engine.ts';
import type { ImagePuller } from './images/image-puller.ts';
import type { ImageWant } from './plan/world.ts';
import { createImageStore } from './image-store.ts';
import type { ImageStore } from './image-store.ts';

const info: ImageInfo = { id: 'sha256:1', sizeBytes: 1, digests: [] };

/** Pulls that end when the test says so. */
class SlowPuller implements Pick<ImagePuller, 'pull' | 'isOpen'> {
  readonly pulls = new Map<string, PromiseWithResolvers<ImageInfo> & { onProgress: (progress: PullProgress) => void }>();
  /** Ids. */
  readonly guarded = new Set<string>();

  isOpen({ id }: ImageInfo): boolean {
    return !this.guarded.has(id);
  }

  async pull({ key }: ImageWant, { onProgress }: { onProgress: (progress: PullProgress) => void }): Promise<ImageInfo> {
    const pull = { ...Promise.withResolvers<ImageInfo>(), onProgress };
    this.pulls.set(key, pull);
    return pull.promise;
  }
}

function want(reference: string, pullSecrets: readonly string[] = []): ImageWant {
  return { key: [reference, ...pullSecrets].join(' '), reference, written: reference, namespace: 'ns', pullSecrets };
}

describe('the image store', () => {
  let engine: FakeEngine;
  let puller: SlowPuller;
  let store: ImageStore;
  let changes: string[];

  beforeEach(() => {
    engine = new FakeEngine();
    puller = new SlowPuller();
    changes = [];
    store = createImageStore({ engine, puller, onChange: (key) => changes.push(key), logger: silentLogger });
  });
  afterEach(async () => {
    for (const { resolve } of puller.pulls.values()) resolve(info);
    await store.stop();
  });

  async function settle(): Promise<void> {
    for (let round = 0; round < 10; round += 1) await turn();
  }

  it('knows what the engine has and what it has not', async () => {
    engine.images.set('a', info);
    await store.check(want('a'));
    await store.check(want('b'));
    assert.deepEqual([store.states.get('a')?.kind, store.states.get('b')?.kind], ['present', 'missing']);
  });

  it('pulls two at a time, each once, the others in their turn', async () => {
    for (const reference of ['a', 'b', 'c', 'a']) store.pull(want(reference));
    assert.deepEqual([...puller.pulls.keys()], ['a', 'b']);
    puller.pulls.get('a')?.resolve(info);
    await settle();
    assert.deepEqual([...puller.pulls.keys()], ['a', 'b', 'c']);
    assert.deepEqual(store.states.get('a'), { kind: 'present', info, pulled: true });
    assert.equal(store.states.get('c')?.kind, 'pulling');
  });

  it('tells of progress at most once a second', async () => {
    store.pull(want('a'));
    changes.length = 0;
    for (let bytes = 0; bytes < 100; bytes += 1) {
      puller.pulls.get('a')?.onProgress({ downloadedBytes: bytes * 1e6, totalBytes: 100e6, layersDone: 0, layers: 2 });
    }
    await settle();
    assert.deepEqual(changes, ['a']);
    assert.deepEqual(store.states.get('a'), { kind: 'pulling', progress: '0.0 of 100.0 MB, 0 of 2 layers done' });
  });

  it('waits longer after each failure', async () => {
    const waits: number[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      store.pull(want('a'));
      puller.pulls.get('a')?.reject(new Error('no such registry'));
      await settle();
      const state = store.states.get('a');
      assert.equal(state?.kind, 'failed');
      waits.push(Math.round((state.retryAtMs - Date.now()) / 1000));
    }
    assert.deepEqual(waits, [10, 20, 40, 80, 160, 300, 300]);
  });

  it('forgets what nobody wants, but not what is being pulled', async () => {
    await store.check(want('a'));
    store.pull(want('b'));
    store.keepOnly(() => false);
    assert.deepEqual([...store.states.keys()], ['b']);
  });

  it("asks for what somebody else's credentials opened, and has it for who could open it", async () => {
    engine.images.set('a', info);
    puller.guarded.add(info.id);
    await store.check(want('a'));
    assert.equal(store.states.get('a')?.kind, 'missing');
    store.pull(want('a', ['s']));
    assert.deepEqual(store.pulling(), ['a']);
    puller.pulls.get('a s')?.resolve(info);
    await settle();
    assert.deepEqual([store.states.get('a')?.kind, store.states.get('a s')?.kind], ['missing', 'present']);
  });
});
