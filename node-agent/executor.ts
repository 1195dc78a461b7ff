/** Takes one step of a plan. What must be remembered is written before; what did not work is written after. */
import { reasons } from '../api/reasons.ts';
import type { Logger } from '../runtime/logger.ts';
import { EngineError, engineErrorKind } from './engine/engine.ts';
import type { ContainerSpec, Engine } from './engine/engine.ts';
import type { ImageStore } from './image-store.ts';
import type { Journal } from './journal/journal.ts';
import type { Action, ActionFailure, Environment } from './plan/world.ts';
import { EnvironmentError } from './resolve-environment.ts';
import { reapSandbox } from './limits/probes/sandbox-orphans.ts';
import { StepGate } from './step-gate.ts';

export interface ExecutorOptions {
  engine: Engine;
  journal: Journal;
  images: ImageStore;
  /** Rejects with {@link EnvironmentError} for what is missing. */
  resolveEnvironment(environment: Environment): Promise<ContainerSpec['env']>;
  /** Called before a container is thrown away for a new one; resolves when it was said. */
  announceRecreation(uid: string): Promise<void>;
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

export interface ActionContext {
  /** Of the instance now: a later one tries again at once what failed. */
  generation: number;
  logger: Logger;
}

/** Of what costs the engine and the disk something. To stop is to wait, and nobody who must stop waits for others. */
const stepsAtOnce = 4;

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #gate = new StepGate(stepsAtOnce);

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the step was taken or its failure noted.
   * @throws {EngineError} of kind `unavailable`, and whatever keeps the journal from being written.
   */
  async run(action: Action, { generation, logger }: ActionContext): Promise<void> {
    const { journal } = this.#options;
    if ('journal' in action) await journal.put(action.journal);
    try {
      if (action.type === 'stop') await this.#act(action);
      else await this.#gate.run(() => this.#act(action));
      logger.debug('step taken', { action: action.type });
      await this.#clearFailure(action);
    } catch (error) {
      const kind = engineErrorKind(error);
      if (kind === 'unavailable') throw error;
      const message = error instanceof Error ? error.message : String(error);
      logger.warn('a step did not work', { action: action.type, kind, error: message });
      const reason = error instanceof EnvironmentError ? { reason: reasons.createContainerConfigError } : {};
      await this.#noteFailure(action, { kind, message, generation, ...reason });
    }
  }

  async #act(action: Action): Promise<void> {
    const { engine, journal, images } = this.#options;
    switch (action.type) {
      case 'adopt':
        return;
      case 'forget':
        return journal.delete(action.uid);
      case 'checkImage':
        return images.check(action.image);
      case 'pull':
        images.pull(action.image);
        return;
      case 'create':
        await this.#create(action);
        return;
      case 'start':
        return this.#start(action.containerId);
      case 'pause':
        return engine.pauseContainer(action.containerId);
      case 'unpause':
        return engine.unpauseContainer(action.containerId);
      case 'stop':
        return unlessGone(engine.stopContainer(action.containerId, action.graceSeconds));
      case 'updateLimits':
        return engine.updateLimits(action.containerId, action.limits);
      case 'recreate':
        await this.#options.announceRecreation(action.uid);
        return this.#stopAndRemove(action.containerId, action.graceSeconds);
      case 'remove':
        return this.#stopAndRemove(action.containerId, action.graceSeconds);
    }
  }

  async #create(action: Action & { type: 'create' }): Promise<void> {
    const { engine, images } = this.#options;
    const env = await this.#options.resolveEnvironment(action.environment);
    try {
      await engine.createContainer({ ...action.spec, env });
    } catch (error) {
      // The image was removed behind our back: it is looked for again.
      if (engineErrorKind(error) !== 'notFound') throw error;
      images.forget(action.imageKey);
      throw new EngineError('failed', error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  async #start(containerId: string): Promise<void> {
    try {
      await this.#options.engine.startContainer(containerId);
    } catch (error) {
      // gVisor leaves processes behind when it fails; the next attempt starts others.
      if (engineErrorKind(error) !== 'unavailable') await reapSandbox('/proc', containerId);
      throw error;
    }
  }

  async #stopAndRemove(containerId: string, graceSeconds: number): Promise<void> {
    const { engine } = this.#options;
    await unlessGone(engine.stopContainer(containerId, graceSeconds));
    await engine.removeContainer(containerId);
    await reapSandbox('/proc', containerId);
  }

  async #clearFailure({ uid, type }: Action): Promise<void> {
    const { journal } = this.#options;
    const entry = journal.entries.get(uid);
    if (entry?.failure?.action !== type) return;
    const whole = { ...entry };
    delete whole.failure;
    await journal.put(whole);
  }

  async #noteFailure(action: Action, failure: Pick<ActionFailure, 'kind' | 'message' | 'generation' | 'reason'>): Promise<void> {
    const { journal } = this.#options;
    const entry = journal.entries.get(action.uid);
    if (entry === undefined) return;
    const before = entry.failure?.action === action.type && entry.failure.generation === failure.generation ? entry.failure.count : 0;
    await journal.put({ ...entry, failure: { ...failure, action: action.type, atMs: this.#options.nowMs(), count: before + 1 } });
  }
}

async function unlessGone(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (engineErrorKind(error) !== 'notFound') throw error;
  }
}
