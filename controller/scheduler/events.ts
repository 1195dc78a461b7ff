/** What the scheduler tells people. An event's reason is the reason of the condition that it tells of. */
import { reasons } from '../../api/reasons.ts';

export interface SchedulerEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

export function placedEvent(providerName: string, hostname: string): SchedulerEvent {
  return { type: 'Normal', reason: reasons.placed, message: `placed on ${providerName} as ${hostname}` };
}

export function noProviderFitsEvent(sentence: string): SchedulerEvent {
  return { type: 'Warning', reason: reasons.noProviderFits, message: sentence };
}

/** Requests of a bound instance were raised beyond what its provider has. */
export function resizeRefusedEvent(providerName: string, short: readonly string[]): SchedulerEvent {
  const message = `${providerName} has not enough ${short.join(', ')} for the changed requests; what was reserved stays reserved`;
  return { type: 'Warning', reason: reasons.noProviderFits, message };
}
