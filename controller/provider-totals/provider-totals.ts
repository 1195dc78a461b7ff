/** Says on each Provider what of it is reserved and what is left, from its ledger. For people: placement reads the ledger itself. */
import type { ProviderReservation } from '../../api/generated/provider-reservation.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { formatAmounts, parseAmounts, subtractAmounts, sumAmounts } from '../../api/resource-amounts.ts';
import type { Quantity } from '../../api/quantity.ts';
import { providers } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { updateStatus } from '../../runtime/status-writer.ts';

export interface ProviderTotalsOptions {
  client: Client;
  providers: Informer<Provider>;
  ledgers: Informer<ProviderReservation>;
}

/** Placements come in groups; a provider's totals are written once for each. */
const settleMs = 1_000;

export class ProviderTotals implements Controller {
  readonly name = 'provider-totals';
  readonly concurrency = 4;
  readonly #options: ProviderTotalsOptions;

  constructor(options: ProviderTotalsOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    this.#options.providers.onChange((name) => enqueue(name, settleMs));
    this.#options.ledgers.onChange((name) => enqueue(name, settleMs));
  }

  async reconcile(name: string, { signal }: ReconcileContext): Promise<Outcome> {
    const { client, providers: all, ledgers } = this.#options;
    await Promise.all([all.whenSynced(), ledgers.whenSynced()]);
    const provider = all.get(name);
    if (provider === undefined) return settled;
    const ledger = ledgers.get(name);
    const mutate = (draft: Provider): Provider => ({ ...draft, status: { ...draft.status, ...totalsOf(draft, ledger) } });
    try {
      await updateStatus(client, providers, { name }, mutate, { from: provider, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return settled;
  }
}

export interface Totals {
  reserved: Record<string, string>;
  left: Record<string, string>;
}

/** A ledger of another provider of that name counts as empty. What is not bounded is not left over either: it has no amount. */
export function totalsOf(provider: Provider, ledger: ProviderReservation | undefined): Totals {
  const entries = (ledger !== undefined && ledger.spec.providerUID === provider.metadata.uid && ledger.spec.reservations) || [];
  const reserved = sumAmounts(entries.map(({ amounts }) => amounts));
  const allocatable = parseAmounts(provider.status?.allocatable ?? {});
  const bounded = Object.fromEntries(Object.entries(reserved).filter(([name]) => Object.hasOwn(allocatable, name)));
  const left = Object.entries(subtractAmounts(allocatable, bounded)).map(([name, amount]): [string, Quantity] => [
    name,
    amount.nanos < 0n ? { ...amount, nanos: 0n } : amount,
  ]);
  return { reserved: formatAmounts(reserved), left: formatAmounts(Object.fromEntries(left)) };
}
