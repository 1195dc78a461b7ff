import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../runtime/logger.ts';
import type { ImageInfo, PullOptions, PullProgress } from '../engine/engine.ts';
import { FakeEngine } from '../engine/fake-engine.ts';
import type { ImageWant } from '../plan/world.ts';
import { GuardedImages } from './guarded-images.ts';
import { ImagePuller } from './image-puller.ts';
import type { ImagePullerOptions, ImageRoom } from './image-puller.ts';
import { roomForImages } from './room-for-images.ts';

const want: ImageWant = { key: 'r/a:1', reference: 'r/a:1', written: 'r/a:1', namespace: 'ns', pullSecrets: [] };
const info: ImageInfo = { id: 'sha256:1', sizeBytes: 3000, digests: ['r/a@sha256:9'] };

/** Lets in who has the right password, and pulls as the test says. */
class Registry extends FakeEngine {
  readonly tried: (string | undefined)[] = [];
  progress: readonly PullProgress[] = [];
  password: string | undefined;

  override async pullImage(reference: string, { onProgress, signal, credentials }: PullOptions): Promise<void> {
    this.tried.push(credentials?.password);
    if (credentials?.password !== this.password) throw new Error('unauthorized: authentication required');
    for (const each of this.progress) {
      onProgress(each);
      signal.throwIfAborted();
    }
    this.images.set(reference, info);
    await Promise.resolve();
  }
}

describe('a pull', () => {
  let directory: string;
  let engine: Registry;
  let guarded: GuardedImages;
  let noRoom: number;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'potluck-guarded-'));
    guarded = await GuardedImages.open(join(directory, 'guarded.json'), silentLogger);
    engine = new Registry();
    noRoom = 0;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  function puller(options: Partial<ImagePullerOptions> & { bounds?: ImageRoom } = {}): ImagePuller {
    const { bounds = { mostBytes: undefined, freeBytes: 1e9 }, ...rest } = options;
    return new ImagePuller({
      engine,
      guarded,
      credentials: () => Promise.resolve([]),
      measure: () => Promise.resolve(undefined),
      room: () => Promise.resolve(bounds),
      onNoRoom: () => (noRoom += 1),
      ...rest,
    });
  }

  const watch = { onProgress: () => undefined, signal: new AbortController().signal };
  const passwords = (...all: string[]): Partial<ImagePullerOptions> => ({
    credentials: () => Promise.resolve(all.map((password) => ({ username: 'ann', password }))),
  });

  it('tries credentials one after the other, and nobody else then', async () => {
    engine.password = 'b';
    assert.deepEqual(await puller(passwords('a', 'b', 'c')).pull(want, watch), info);
    assert.deepEqual(engine.tried, ['a', 'b']);
    engine.password = undefined;
    await assert.rejects(puller(passwords('a')).pull(want, watch), /unauthorized/);
  });

  it('is as anybody without credentials', async () => {
    await puller().pull(want, watch);
    assert.deepEqual(engine.tried, [undefined]);
  });

  it('by credentials guards the image, also after a restart, until anybody could pull it', async () => {
    engine.password = 'b';
    const one = puller(passwords('b'));
    await one.pull(want, watch);
    assert.equal(one.isOpen(info), false);
    guarded = await GuardedImages.open(join(directory, 'guarded.json'), silentLogger);
    assert.equal(puller().isOpen(info), false);
    engine.password = undefined;
    await puller().pull(want, watch);
    assert.equal(puller().isOpen(info), true);
    assert.equal(await readFile(join(directory, 'guarded.json'), 'utf8'), '[]');
  });

  it('guards no image that was open before', async () => {
    engine.images.set(want.reference, info);
    engine.password = 'b';
    const one = puller(passwords('b'));
    await one.pull(want, watch);
    assert.equal(one.isOpen(info), true);
  });

  it('by credentials makes every new image suspect until it ends', async () => {
    const seen: boolean[] = [];
    const known = { ...info, id: 'sha256:known' };
    const imported = { ...info, id: 'sha256:imported', digests: [] };
    engine.password = 'b';
    const one: ImagePuller = puller({
      ...passwords('b'),
      measure: () => {
        seen.push(one.isOpen(info), one.isOpen(known), one.isOpen(imported));
        return Promise.resolve(undefined);
      },
    });
    assert.equal(one.isOpen(known), true);
    await one.pull(want, watch);
    assert.deepEqual(seen, [false, true, true]);
  });

  it('is not begun when the registry says that the image is too large', async () => {
    const measured = { measure: () => Promise.resolve(2_000_000) };
    const bounds = { mostBytes: 1_000_000, freeBytes: 1e9 };
    await assert.rejects(
      puller({ ...measured, bounds }).pull(want, watch),
      /it is 2\.0 MB large, and the provider takes no image of more than 1\.0 MB/,
    );
    const full = { mostBytes: undefined, freeBytes: 1_500_000 };
    await assert.rejects(
      puller({ ...measured, bounds: full }).pull(want, watch),
      /room for 1\.5 MB, and it is 2\.0 MB large before it is unpacked/,
    );
    assert.deepEqual([engine.tried, noRoom], [[], 1]);
  });

  it('is broken off when more comes than may', async () => {
    engine.progress = [
      { downloadedBytes: 1, totalBytes: 1000, layersDone: 0, layers: 1 },
      { downloadedBytes: 1, totalBytes: 2_000_000, layersDone: 0, layers: 2 },
    ];
    const bounds = { mostBytes: 1_000_000, freeBytes: 1e9 };
    await assert.rejects(puller({ bounds }).pull(want, watch), /it is at least 2\.0 MB large/);
    assert.equal(engine.images.size, 0);
  });

  it('is broken off when the disk fills', async () => {
    const bounds = { mostBytes: undefined, freeBytes: 1e9 };
    engine.pullImage = async (_reference, { signal }) => {
      bounds.freeBytes = -1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      throw new Error('cut short');
    };
    await assert.rejects(puller({ bounds }).pull(want, watch), /the provider's disk has room for 0\.0 MB$/);
    assert.equal(noRoom, 1);
  });

  it('is undone when the image unpacked to more than may be', async () => {
    await assert.rejects(puller({ bounds: { mostBytes: 2999, freeBytes: 1e9 } }).pull(want, watch), /it is 0\.0 MB large/);
    assert.equal(engine.images.size, 0);
  });
});

it('GuardedImages takes every image of a registry for guarded when its file is damaged', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-guarded-'));
  try {
    await writeFile(join(directory, 'guarded.json'), '["sha256:1"');
    const guarded = await GuardedImages.open(join(directory, 'guarded.json'), silentLogger);
    assert.equal(guarded.has(info), true);
    assert.equal(guarded.has({ ...info, digests: [] }), false);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

it('roomForImages() leaves a twentieth of the disk free', () => {
  assert.deepEqual(roomForImages({ sizeBytes: 1000, freeBytes: 100 }, undefined), { mostBytes: undefined, freeBytes: 50 });
  assert.equal(roomForImages({ sizeBytes: 1000, freeBytes: 100 }, '1Ki').mostBytes, 1024);
});
