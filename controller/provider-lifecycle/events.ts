import { reasons } from '../../api/reasons.ts';

/** Why an instance lost its place, as its condition and as its event. */
export interface Unbinding {
  reason: typeof reasons.providerWithdrawn | typeof reasons.providerGone;
  message: string;
}

export function withdrawnUnbinding(providerName: string): Unbinding {
  return { reason: reasons.providerWithdrawn, message: `the owner of ${providerName} withdrew it` };
}

export function goneUnbinding(providerName: string): Unbinding {
  return { reason: reasons.providerGone, message: `${providerName} is no longer in the pool` };
}
