/** Whether the walls stand. Where they do not, the pool has no network, and no instance may run: better none than one without walls. */
import type { Logger } from '../../../runtime/logger.ts';

export class WallState {
  standing = false;
  /** Why they do not. */
  reason = 'they were not put up yet';
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Called after each change, until the answer is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts them up or finds them whole, which it answers; where that fails, cuts the pool off. Never rejects. */
  async hold(network: { assert(): Promise<boolean>; cutOff(): Promise<void> }): Promise<boolean> {
    try {
      const stood = await network.assert();
      this.#set(true, '');
      return stood;
    } catch (error) {
      await network.cutOff();
      this.#set(false, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  #set(standing: boolean, reason: string): void {
    const changed = standing !== this.standing || (!standing && this.reason !== reason);
    const wasDown = !this.standing && this.reason !== '';
    Object.assign(this, { standing, reason });
    if (!changed) return;
    if (!standing) this.#logger.warn('the walls around instances do not stand: they are cut off and stopped', { error: reason });
    else if (wasDown) this.#logger.info('the walls around instances stand');
    for (const listener of this.#listeners) listener();
  }
}
