import type { Enrolment } from '../../node-agent/identity/enrolment.ts';
import { talkToPool, UnknownToPoolError } from '../leave/tell-pool.ts';

/** Whether the pool answers that it does not know this machine (any more), not even by its identity key. A pool that is away has not forgotten. */
export async function isForgotten(home: string, enrolment: Enrolment, signal: AbortSignal): Promise<boolean> {
  const pool = talkToPool(home, enrolment, signal);
  try {
    await pool.assigned();
    return false;
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof UnknownToPoolError;
  } finally {
    pool.close();
  }
}
