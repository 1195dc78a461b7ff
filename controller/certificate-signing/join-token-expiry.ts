/** Removes join tokens a while after they ran out. Who has joined by one stays. */
import type { JoinToken } from '../../api/generated/join-token.ts';
import { joinTokens } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { tokenTimeLeftMs } from './judge-age.ts';
import type { KeepingTimes } from './judge-age.ts';

export interface JoinTokenExpiryOptions {
  client: Pick<Client, 'delete'>;
  tokens: Informer<JoinToken>;
  times: KeepingTimes;
}

export class JoinTokenExpiry implements Controller {
  readonly name = 'join-token-expiry';
  readonly concurrency = 1;
  readonly #options: JoinTokenExpiryOptions;

  constructor(options: JoinTokenExpiryOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    this.#options.tokens.onChange((name) => {
      enqueue(name);
    });
  }

  async reconcile(key: string, { nowMs }: ReconcileContext): Promise<Outcome> {
    const { client, tokens, times } = this.#options;
    await tokens.whenSynced();
    const token = tokens.get(key);
    if (token === undefined || token.metadata.deletionTimestamp !== undefined) return settled;
    const leftMs = tokenTimeLeftMs(token, times, nowMs);
    if (leftMs > 0) return recheckAfter(Math.min(leftMs, longestWaitMs));
    const { uid } = token.metadata;
    try {
      await client.delete(joinTokens, { name: key }, uid === undefined ? {} : { preconditions: { uid } });
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
    return settled;
  }
}

/** Timers hold some 24 days at most; tokens may be for longer. */
const longestWaitMs = 86_400_000;
