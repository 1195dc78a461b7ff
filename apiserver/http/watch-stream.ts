/**
 * One client's watch on the wire: takes events from the registry at its pace and gives them to the client at the client's, with a bound on
 * what may wait in between.
 */
import type { ServerResponse } from 'node:http';
import type { WatchEvent, WatchHandle, WatchSink } from '../registry/resource.ts';
import { StatusError } from '../registry/status-error.ts';
import type { EncodeEvent } from './watch-encoder.ts';
import { errorLine } from './watch-encoder.ts';

export interface WatchLimits {
  /** Bytes that may wait for a client beyond its initial events. */
  bufferBytes: number;
  /** A client that takes nothing for this long is cut off. */
  stallMs: number;
}

export const defaultWatchLimits: WatchLimits = { bufferBytes: 16 * 1024 * 1024, stallMs: 10_000 };

/** Bytes handed to the socket at once: small, so that a slow but living client is seen to make progress. */
const sliceBytes = 256 * 1024;

export class WatchStream implements WatchSink {
  readonly #response: ServerResponse;
  readonly #encode: EncodeEvent;
  readonly #limits: WatchLimits;
  readonly #onClosed: () => void;
  #handle: WatchHandle | undefined;
  /** Whole lines, so that what is dropped never leaves half a line behind. */
  #queue: (readonly Uint8Array[])[] = [];
  #queuedBytes = 0;
  #allowedBytes = Number.POSITIVE_INFINITY;
  #opened = false;
  #pumping = false;
  #waitsForDrain = false;
  #finishing = false;
  #closed = false;
  #stall: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;

  /** `onClosed` is called once, when nothing more will be written. */
  constructor(response: ServerResponse, encode: EncodeEvent, limits: WatchLimits, onClosed: () => void) {
    this.#response = response;
    this.#encode = encode;
    this.#limits = limits;
    this.#onClosed = onClosed;
    response.on('close', () => this.#close());
    response.on('error', () => this.#close());
    response.on('drain', () => {
      this.#waitsForDrain = false;
      clearTimeout(this.#stall);
      this.#pump();
    });
  }

  /** Begins to write. The watch ends by itself after `lifetimeMs`. */
  open(handle: WatchHandle, lifetimeMs: number): void {
    this.#handle = handle;
    if (this.#closed) {
      handle.close();
      return;
    }
    this.#opened = true;
    this.#response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    this.#response.flushHeaders();
    this.#end = setTimeout(() => this.finish(), lifetimeMs);
    if (this.#finishing) this.#handle.close();
    this.#lowerAllowance();
    this.#pump();
  }

  onEvent(event: WatchEvent): void {
    if (this.#finishing || this.#closed) return;
    this.#push(this.#encode(event));
    if (this.#queuedBytes > this.#allowedBytes) this.#cutOff('the client does not keep up with the events');
    else this.#schedulePump();
  }

  onError(error: Error): void {
    if (this.#finishing || this.#closed) return;
    this.#push([errorLine(error)]);
    this.finish();
  }

  /** Ends the watch cleanly, after what is queued. */
  finish(): void {
    if (this.#finishing || this.#closed) return;
    this.#finishing = true;
    clearTimeout(this.#end);
    this.#handle?.close();
    this.#pump();
  }

  #push(line: readonly Uint8Array[]): void {
    this.#queue.push(line);
    this.#queuedBytes += lengthOf(line);
  }

  /** Events of one revision come in one go: they are written together. */
  #schedulePump(): void {
    if (this.#pumping || !this.#opened || this.#waitsForDrain) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** What came before the opening is the state at the watch's beginning: it is as large as it is, and counts no more once it is gone. */
  #lowerAllowance(): void {
    this.#allowedBytes = Math.min(this.#allowedBytes, this.#queuedBytes + this.#limits.bufferBytes);
  }

  #pump(): void {
    if (!this.#opened || this.#closed) return;
    while (this.#queue.length > 0 && !this.#waitsForDrain) {
      const isTaken = this.#response.write(this.#nextSlice());
      this.#lowerAllowance();
      if (!isTaken) this.#awaitDrain();
    }
    if (this.#finishing && this.#queue.length === 0) this.#response.end();
  }

  #nextSlice(): Uint8Array {
    let length = 0;
    let count = 0;
    while (count < this.#queue.length && length < sliceBytes) length += lengthOf(this.#queue[count++] ?? []);
    const slice = this.#queue.splice(0, count).flat();
    this.#queuedBytes -= length;
    return Buffer.concat(slice, length);
  }

  #awaitDrain(): void {
    this.#waitsForDrain = true;
    clearTimeout(this.#stall);
    this.#stall = setTimeout(() => this.#response.destroy(), this.#limits.stallMs);
  }

  /** What waits is dropped: the client must list anew, and is told so if it still reads. */
  #cutOff(why: string): void {
    if (this.#closed) return;
    const message = `too old resource version: ${why}`;
    this.#queue = [[errorLine(new StatusError({ message, reason: 'Expired', code: 410 }))]];
    this.#queuedBytes = 0;
    if (!this.#finishing) this.finish();
    clearTimeout(this.#stall);
    this.#stall = setTimeout(() => this.#response.destroy(), this.#limits.stallMs);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    clearTimeout(this.#stall);
    clearTimeout(this.#end);
    this.#handle?.close();
    this.#onClosed();
  }
}

function lengthOf(line: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of line) length += piece.length;
  return length;
}
