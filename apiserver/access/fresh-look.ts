/** Lets requests wait until the caches have what was written before they came, without letting them ask the store as often as they like. */

/** At most one look in this time: what somebody can make the store do by showing identities that nobody has. */
const intervalMs = 50;
/** Requests that wait for one look; beyond these nobody waits, and what the caches have counts. */
const mostWaiting = 256;

export class FreshLook {
  readonly #catchUp: () => Promise<void>;
  #next: Promise<void> | undefined;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  #lastStartedAt = -intervalMs;

  /** `catchUp` resolves when what was written before it was called is in the caches, within a bounded time. */
  constructor(catchUp: () => Promise<void>) {
    this.#catchUp = catchUp;
  }

  /** Resolves when everything that was written before this call is in the caches. Rejects when the store cannot be asked. */
  async look(): Promise<void> {
    if (this.#waiting >= mostWaiting) return;
    this.#waiting += 1;
    try {
      // A look that began already may have begun too early for this request.
      await (this.#next ??= this.#begin());
    } finally {
      this.#waiting -= 1;
    }
  }

  async #begin(): Promise<void> {
    await this.#last.catch(() => undefined);
    const waitMs = this.#lastStartedAt + intervalMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    this.#lastStartedAt = performance.now();
    this.#next = undefined;
    this.#last = this.#catchUp();
    await this.#last;
  }
}
