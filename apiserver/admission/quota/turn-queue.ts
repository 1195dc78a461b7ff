/** Work on the same thing goes one after another; on different things, side by side. Only who waits is kept, so nothing outlives its requests. */
export class TurnQueue {
  readonly #last = new Map<string, Promise<undefined>>();

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise: done, resolve: finish } = Promise.withResolvers<undefined>();
    this.#last.set(key, done);
    try {
      await before;
      return await work();
    } finally {
      if (this.#last.get(key) === done) this.#last.delete(key);
      finish(undefined);
    }
  }
}
