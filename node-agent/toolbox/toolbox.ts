/**
 * Keeps the toolbox of this machine: what instances are entered by. It is looked at when the agent starts and once a day, made where it is
 * missing, damaged or of older packages, and swapped at once: instances that run see the new one, since what they have is the folder of all.
 */
import { chmod, cp, mkdir, mkdtemp, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff } from '../../api/backoff.ts';
import type { Logger } from '../../runtime/logger.ts';
import { buildToolbox, scriptsId, toolboxId } from './build-toolbox.ts';
import { AptSource, debianArchitecture } from './debian-packages.ts';
import type { PackageFile } from './debian-packages.ts';
import { verifiedManifest } from './manifest.ts';

export interface ToolboxOptions {
  /** `$POTLUCK_HOME/toolbox`. */
  directory: string;
  /** One that was made elsewhere for this kind of machine, for where there are no packages of Debian's: taken over instead. */
  madeElsewhere?: string;
  logger: Logger;
}

const lookEveryMs = 24 * 3_600_000;
const retryBackoff = { baseMs: 10_000, capMs: 30 * 60_000 };

/** In the folder of all. */
const currentLink = 'current';
const toolsFolder = 'tools';

export class Toolbox {
  readonly #options: ToolboxOptions;
  readonly #stopping = new AbortController();
  #isReady = false;
  #state = 'they were not looked at yet';
  #keeper: Promise<void> = Promise.resolve();

  constructor(options: ToolboxOptions) {
    this.#options = options;
  }

  /** What instances see; stays the same for good. */
  get directory(): string {
    return join(this.#options.directory, toolsFolder);
  }

  /** Why nobody can be let in yet; undefined when they can. */
  get missing(): string | undefined {
    return this.#isReady ? undefined : this.#state;
  }

  /** Makes the folder, believes what is there and whole, and goes on in the background. */
  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o755 });
    await this.#believe();
    this.#keeper = this.#keep();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#keeper;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = createBackoff(retryBackoff, Math.random);
    for (let waitMs = 0; await delay(waitMs, true, { signal }).catch(() => false);) {
      try {
        await this.#renew();
        backoff.reset();
        waitMs = lookEveryMs;
      } catch (error) {
        if (signal.aborted) return;
        const message = error instanceof Error ? error.message : String(error);
        if (!this.#isReady) this.#state = `they could not be made yet: ${message}`;
        this.#options.logger.warn('the tools of SSH cannot be made; tried again later', { error: message, inUse: this.#isReady });
        waitMs = backoff.nextMs();
      }
    }
  }

  async #renew(): Promise<void> {
    const { logger } = this.#options;
    const { signal } = this.#stopping;
    if (!this.#isReady) this.#state = 'they are being made';
    if (this.#options.madeElsewhere !== undefined) return this.#takeOver(this.#options.madeElsewhere);
    const architecture = await debianArchitecture(signal);
    const { apt, files } = await this.#findPackages();
    const id = toolboxId(files, architecture);
    if (this.#isReady && (await this.#currentName()) === `v-${id}`) return;
    const report = (where: string): void => {
      if (!this.#isReady) this.#state = `they are being made: ${where}`;
      logger.info('making the tools of SSH', { where });
    };
    const { bytes } = await buildToolbox({ apt, files, architecture, directory: this.directory, report, signal });
    await this.#use(`v-${id}`);
    await rm(join(this.#options.directory, 'apt'), { recursive: true, force: true });
    logger.info('the tools of SSH are ready', { megabytes: Math.round(bytes / 1e6), packages: files.length });
  }

  async #takeOver(other: string): Promise<void> {
    const name = await readlink(join(other, toolsFolder, currentLink)).catch(() => undefined);
    if (name === undefined) throw new Error(`there are none in ${other} yet`);
    if (this.#isReady && (await this.#currentName()) === name) return;
    const work = await mkdtemp(join(this.directory, 'build-'));
    await cp(join(other, toolsFolder, name), work, { recursive: true, verbatimSymlinks: true });
    await chmod(work, 0o755);
    await rm(join(this.directory, name), { recursive: true, force: true });
    await rename(work, join(this.directory, name));
    await this.#use(name);
  }

  /** The machine's own lists of packages may be missing, or name files that the mirror does not have any more. */
  async #findPackages(): Promise<{ apt: AptSource; files: PackageFile[] }> {
    const { signal } = this.#stopping;
    try {
      const apt = AptSource.ofMachine(signal);
      return { apt, files: await apt.files() };
    } catch (error) {
      signal.throwIfAborted();
      this.#options.logger.info('fetching lists of packages for the tools of SSH', {
        why: error instanceof Error ? error.message : String(error),
      });
      const apt = await AptSource.fresh(join(this.#options.directory, 'apt'), signal);
      return { apt, files: await apt.files() };
    }
  }

  /** What an earlier agent made, if every byte of it is as it was. */
  async #believe(): Promise<void> {
    const name = await this.#currentName();
    const manifest = name === undefined ? undefined : await verifiedManifest(join(this.directory, name));
    this.#isReady = manifest?.scripts === scriptsId();
    if (name !== undefined && !this.#isReady)
      this.#options.logger.info('the tools of SSH are not whole, or of another version, and are made anew');
  }

  async #currentName(): Promise<string | undefined> {
    return readlink(join(this.directory, currentLink)).catch(() => undefined);
  }

  /** By one rename; what is not used any more goes. Programs that run keep what they opened. */
  async #use(name: string): Promise<void> {
    const manifest = await verifiedManifest(join(this.directory, name));
    if (manifest === undefined) throw new Error('what was just made is not whole; is the disk full?');
    if (manifest.scripts !== scriptsId()) throw new Error('they are of another version of Potluck');
    const link = join(this.directory, '.next');
    await rm(link, { force: true });
    await symlink(name, link);
    await rename(link, join(this.directory, currentLink));
    this.#isReady = true;
    for (const other of await readdir(this.directory)) {
      if (other !== name && other !== currentLink) await rm(join(this.directory, other), { recursive: true, force: true });
    }
  }
}
