/** Keeps the owner's word while there is no API to ask: what still runs from before is stopped when the machine is closed. */
import { instanceUidLabel } from '../../api/names.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Engine } from '../engine/engine.ts';
import type { Journal } from '../journal/journal.ts';
import type { PolicyKeeper } from './policy-keeper.ts';

export interface HoldOptions {
  ownerPolicy: PolicyKeeper;
  engine: Engine;
  journal: Journal;
  providerUid: string;
  logger: Logger;
}

const graceSeconds = 1;

/** To be called again and again until the API answers; then convergence does the same and says why. Never throws. */
export function holdWhileClosed({ ownerPolicy, engine, journal, providerUid, logger }: HoldOptions): () => Promise<void> {
  return async () => {
    if (ownerPolicy.current().status?.open !== false) return;
    try {
      const running = (await engine.listContainers(providerUid)).filter(({ state }) => state === 'running' || state === 'paused');
      const stop = async ({ id, labels }: (typeof running)[number]): Promise<void> => {
        const entry = journal.entries.get(labels[instanceUidLabel] ?? '');
        if (entry !== undefined) await journal.put({ ...entry, stopRequested: true });
        await engine.stopContainer(id, graceSeconds);
      };
      await Promise.all(running.map(stop));
      if (running.length > 0) logger.info('instances were stopped: the owner policy lets none run now', { stopped: running.length });
    } catch (error) {
      logger.warn('instances that the owner policy does not let run cannot be stopped yet', { error });
    }
  };
}
