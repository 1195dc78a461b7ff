/** Stops what runs, for a pool that is shut down, so that it goes on at the next start as if nothing had been. */
import { join } from 'node:path';
import { instanceUidLabel } from '../api/names.ts';
import type { Logger } from '../runtime/logger.ts';
import { createDockerEngine } from './engine/docker-engine.ts';
import { engineErrorKind } from './engine/engine.ts';
import type { Engine, ObservedContainer } from './engine/engine.ts';
import { openJournal } from './journal/journal.ts';
import type { Journal } from './journal/journal.ts';
import { isRunning, stopGraceSeconds } from './plan/converge.ts';

export interface StopInstancesOptions {
  /** `$POTLUCK_HOME`; the journal in it is written. */
  home: string;
  socketPath: string;
  providerUid: string;
  logger: Logger;
}

const stopsAtOnce = 8;

/**
 * Disks stay. What is stopped this way is no crash: the next agent starts it again, also where `restartPolicy` is Never. Not while an agent
 * runs, which would start it at once. Answers how many were stopped; 0 also when no engine answers.
 */
export async function stopInstances({ home, socketPath, providerUid, logger }: StopInstancesOptions): Promise<number> {
  const engine = createDockerEngine(socketPath);
  const running = (await listContainers(engine, providerUid)).filter(isRunning);
  const journal = await openJournal(join(home, 'agent', 'journal.json'), logger);
  const queue = running.values();
  const work = async (): Promise<void> => {
    for (const container of queue) await stop(container, engine, journal);
  };
  await Promise.all(Array.from({ length: stopsAtOnce }, work));
  await journal.close();
  return running.length;
}

async function listContainers(engine: Engine, providerUid: string): Promise<ObservedContainer[]> {
  try {
    return await engine.listContainers(providerUid);
  } catch (error) {
    if (engineErrorKind(error) === 'unavailable') return [];
    throw error;
  }
}

async function stop({ id, labels }: ObservedContainer, engine: Engine, journal: Journal): Promise<void> {
  const entry = journal.entries.get(labels[instanceUidLabel] ?? '');
  if (entry !== undefined) await journal.put({ ...entry, stopRequested: true });
  await engine.stopContainer(id, stopGraceSeconds);
}
