/** Why a session must end: what was so when it began holds no more. Pure. */
import type { Instance } from '../../api/generated/instance.ts';

export interface SessionFacts {
  instanceUid: string;
  epoch: number;
  containerId: string;
  /** `type base64` of the key that got in; absent until somebody did. */
  key?: string;
}

/** One phrase for people; undefined while the session may go on. `instance`: as this provider sees it now, undefined when it is not its any more. */
export function whyToEnd(session: SessionFacts, instance: Instance | undefined, providerUid: string): string | undefined {
  if (instance === undefined || instance.metadata.uid !== session.instanceUid) return 'the instance is gone from this provider';
  const { assignment, ssh } = instance.status ?? {};
  if (assignment?.providerUID !== providerUid || assignment.epoch !== session.epoch) return 'the instance moves';
  if (instance.metadata.deletionTimestamp !== undefined) return 'the instance is being deleted';
  if (instance.spec.powerState === 'Stopped') return 'the instance is being stopped';
  const { key } = session;
  const isOpenedBy = (ssh?.authorizedKeys ?? []).some((each) => each.key === key);
  return key === undefined || isOpenedBy ? undefined : 'the key that opened it does not open the instance any more';
}
