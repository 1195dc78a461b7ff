/** What a provider gives away of its line. Pure. */
import { givenAmount } from '../../../api/effective-resources.ts';
import type { ResourceName } from '../../../api/effective-resources.ts';
import type { Provider } from '../../../api/generated/provider.ts';
import type { Bandwidth } from './bandwidth-limits.ts';

/** The least of what the owner offers and what is allocatable; what neither names is not limited. */
export function offeredBandwidth({ spec, status }: Provider): Bandwidth {
  const least = (name: ResourceName): number | undefined => {
    const most = Math.min(givenAmount(spec.offer, name) ?? Infinity, givenAmount(status?.allocatable, name) ?? Infinity);
    return most === Infinity ? undefined : most;
  };
  const [ingress, egress] = [least('ingress-bandwidth'), least('egress-bandwidth')];
  return {
    ...(ingress === undefined ? {} : { ingressBitsPerSecond: ingress }),
    ...(egress === undefined ? {} : { egressBitsPerSecond: egress }),
  };
}
