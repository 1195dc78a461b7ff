/** Counts open streams for each user, and refuses those beyond the bound. */
import { streamBounds } from '../api/stream-protocol.ts';

export class StreamBudget {
  readonly #byUser = new Map<string, number>();
  readonly #perUser: number;

  constructor(perUser: number = streamBounds.perUser) {
    this.#perUser = perUser;
  }

  /** Answers what gives it back, once; undefined when the user has as many as one may have. */
  take(user: string): (() => void) | undefined {
    const open = this.#byUser.get(user) ?? 0;
    if (open >= this.#perUser) return undefined;
    this.#byUser.set(user, open + 1);
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      const left = (this.#byUser.get(user) ?? 1) - 1;
      if (left === 0) this.#byUser.delete(user);
      else this.#byUser.set(user, left);
    };
  }
}
