/** A watch of a mirrored resource: the source's events, as they look in the mirror and through the watch's own selectors. */
import type { StoredObject, WatchEvent, WatchSink } from '../resource.ts';

export class MirrorSink implements WatchSink {
  readonly #sink: WatchSink;
  readonly #show: (stored: StoredObject) => StoredObject | undefined;
  readonly #made: (stored: StoredObject) => StoredObject | undefined;

  /** `show` answers the mirrored object if the watch is about it, `made` in any case where there is one. */
  constructor(
    sink: WatchSink,
    show: (stored: StoredObject) => StoredObject | undefined,
    made: (stored: StoredObject) => StoredObject | undefined,
  ) {
    this.#sink = sink;
    this.#show = show;
    this.#made = made;
  }

  onEvent(event: WatchEvent): void {
    if (event.type === 'BOOKMARK') {
      this.#sink.onEvent(event);
      return;
    }
    const { stored, previous } = event;
    const isIn = event.type === 'DELETED' ? undefined : this.#show(stored);
    const wasIn = event.type === 'DELETED' ? this.#show(stored) : previous && this.#show(previous);
    if (isIn !== undefined) this.#sink.onEvent({ type: wasIn === undefined ? 'ADDED' : 'MODIFIED', stored: isIn });
    else if (wasIn !== undefined) this.#sink.onEvent({ type: 'DELETED', stored: this.#made(stored) ?? wasIn });
  }

  onError(error: Error): void {
    this.#sink.onError(error);
  }
}
