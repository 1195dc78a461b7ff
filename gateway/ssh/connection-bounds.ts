/** How many connections the jump host takes, from whom, and how often; counted before any of their bytes is looked at. */
import { isIPv6 } from 'node:net';

/** In all. */
const most = 1_024;
/** Of those who have not shown a key yet: in all, and from one network (a household, an office). */
const mostStrangers = 128;
const mostStrangersOfNetwork = 10;
/** From one network, connections in a row, and then so many in a second. */
const burst = 60;
const perSecond = 5;
const forgetMs = (burst / perSecond) * 1000;

interface Network {
  strangers: number;
  tokens: number;
  atMs: number;
}

export interface Place {
  /** It showed a key. */
  known(): void;
  leave(): void;
}

export class ConnectionBounds {
  readonly #nowMs: () => number;
  readonly #networks = new Map<string, Network>();
  #connections = 0;
  #strangers = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Undefined: it is not taken. */
  enter(address: string): Place | undefined {
    this.#forget();
    const network = this.#network(networkOf(address));
    const isFull = this.#connections >= most || this.#strangers >= mostStrangers;
    if (isFull || network.strangers >= mostStrangersOfNetwork || network.tokens < 1) return undefined;
    network.tokens -= 1;
    network.strangers += 1;
    this.#strangers += 1;
    this.#connections += 1;
    let [isStranger, isHere] = [true, true];
    const known = (): void => {
      if (!isStranger) return;
      isStranger = false;
      network.strangers -= 1;
      this.#strangers -= 1;
    };
    const leave = (): void => {
      known();
      if (isHere) this.#connections -= 1;
      isHere = false;
    };
    return { known, leave };
  }

  #network(key: string): Network {
    const nowMs = this.#nowMs();
    const network = this.#networks.get(key) ?? { strangers: 0, tokens: burst, atMs: nowMs };
    network.tokens = Math.min(burst, network.tokens + ((nowMs - network.atMs) / 1000) * perSecond);
    network.atMs = nowMs;
    // Last, so that the map is in the order of the last visits.
    this.#networks.delete(key);
    this.#networks.set(key, network);
    return network;
  }

  #forget(): void {
    for (const [key, { atMs, strangers }] of this.#networks) {
      if (this.#nowMs() - atMs < forgetMs) return;
      if (strangers === 0) this.#networks.delete(key);
    }
  }
}

/** The first 24 bits, or 56 of IPv6. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!isIPv6(plain)) return plain.split('.').slice(0, 3).join('.');
  const [head = '', tail = ''] = plain.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [front, back] = [groups(head), groups(tail)];
  const whole = plain.includes('::') ? [...front, ...Array.from({ length: 8 - front.length - back.length }, () => '0'), ...back] : front;
  const numbers = whole.slice(0, 4).map((group) => parseInt(group, 16));
  return [...numbers.slice(0, 3), (numbers[3] ?? 0) >> 8].join(':');
}
