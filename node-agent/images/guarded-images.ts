/**
 * Which images of the engine came by somebody's credentials. Others get them only by credentials of their own: that an image is on the machine
 * gives nobody a right to it. Ids are kept over restarts, credentials never.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Logger } from '../../runtime/logger.ts';
import type { ImageInfo } from '../engine/engine.ts';

export class GuardedImages {
  readonly #path: string;
  readonly #ids: Set<string>;
  /** What was written cannot be read: then every image that a registry has counts as guarded, and is asked for anew. */
  readonly #isLost: boolean;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, ids: Set<string>, isLost: boolean) {
    this.#path = path;
    this.#ids = ids;
    this.#isLost = isLost;
  }

  static async open(path: string, logger: Logger): Promise<GuardedImages> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new GuardedImages(path, new Set(), false);
      logger.warn('it cannot be read which images are guarded: all are asked for anew', { path, error });
      return new GuardedImages(path, new Set(), true);
    }
    const ids = parseIds(text);
    if (ids === undefined) logger.warn('it is damaged which images are guarded: all are asked for anew', { path });
    return new GuardedImages(path, ids ?? new Set(), ids === undefined);
  }

  has({ id, digests }: ImageInfo): boolean {
    return this.#ids.has(id) || (this.#isLost && digests.length > 0);
  }

  /** Resolves when it is written: only then may the image be used. */
  async add(id: string): Promise<void> {
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    await this.#write();
  }

  /** Anybody can have it after all, or it is gone. */
  async delete(id: string): Promise<void> {
    if (this.#ids.delete(id)) await this.#write();
  }

  async #write(): Promise<void> {
    const write = async (): Promise<void> => {
      const temporary = `${this.#path}.new`;
      await writeFile(temporary, JSON.stringify([...this.#ids]), { mode: 0o600 });
      await rename(temporary, this.#path);
    };
    this.#writing = this.#writing.catch(() => undefined).then(write);
    await this.#writing;
  }
}

function parseIds(text: string): Set<string> | undefined {
  try {
    const ids: unknown = JSON.parse(text);
    return Array.isArray(ids) && ids.every((id) => typeof id === 'string') ? new Set(ids) : undefined;
  } catch {
    return undefined;
  }
}
