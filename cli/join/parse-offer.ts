/** What of a machine is lent, as its owner says it on the command line. Pure. */
import { UserError } from '../../api/errors.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { isQuantity, parseQuantity, signOfQuantity } from '../../api/quantity.ts';
import { nearestName } from '../command-line/nearest-name.ts';

const resources = ['cpu', 'memory', 'disk', 'pids', 'ingress-bandwidth', 'egress-bandwidth'];

/** Reads `cpu=4,memory=8Gi`; what is not said is as in `otherwise`. */
export function parseOffer(text: string | undefined, otherwise: Readonly<Record<string, string>>): Record<string, string> {
  const offer = { ...otherwise };
  for (const part of text === undefined ? [] : text.split(',')) {
    const [name = '', amount] = part.split(/=(.*)/s).map((word) => word.trim());
    if (!resources.includes(name)) {
      const nearest = nearestName(name, resources);
      const remedy = nearest === undefined ? `It has ${resources.join(', ')}` : `Did you mean ${nearest}?`;
      throw new UserError('BAD_ARGUMENT', `--offer has ${JSON.stringify(name.slice(0, 60))}, which is nothing to lend`, remedy);
    }
    if (amount === undefined || !isQuantity(amount) || signOfQuantity(parseQuantity(amount)) <= 0) {
      const what = `--offer ${name}=${JSON.stringify((amount ?? '').slice(0, 60))} is no amount`;
      throw new UserError('BAD_ARGUMENT', what, 'For example cpu=4,memory=8Gi,disk=100Gi');
    }
    offer[name] = amount;
  }
  return offer;
}

export interface LocationFlags {
  readonly region: string | undefined;
  readonly latitude: string | undefined;
  readonly longitude: string | undefined;
}

/** Undefined where nothing was said. Coordinates are rounded to 0.1 degree before they leave the machine. */
export function parseLocation({ region, latitude, longitude }: LocationFlags): Provider['spec']['location'] {
  if ((latitude === undefined) !== (longitude === undefined)) {
    throw new UserError('BAD_ARGUMENT', 'of --latitude and --longitude only one was given', 'Give both, or none');
  }
  if (region === undefined && latitude === undefined) return undefined;
  return {
    ...(region === undefined ? {} : { region }),
    ...(latitude === undefined ? {} : { latitude: degrees('latitude', latitude, 90) }),
    ...(longitude === undefined ? {} : { longitude: degrees('longitude', longitude, 180) }),
  };
}

function degrees(flag: string, text: string, most: number): number {
  const value = /^-?\d{1,3}(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(value) <= most) return Math.round(value * 10) / 10 + 0;
  throw new UserError(
    'BAD_ARGUMENT',
    `--${flag} ${JSON.stringify(text.slice(0, 60))} is no such place`,
    `It is from -${most} to ${most} degrees`,
  );
}
