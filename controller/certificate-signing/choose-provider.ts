/** Which Provider a machine that joins is. Pure. */
import type { Provider } from '../../api/generated/provider.ts';
import { identityTaken, nameTaken, providerRevoked } from './refusals.ts';
import type { Statement } from './request-conditions.ts';

export interface Wanted {
  identityKey: string;
  owner: string;
  /** The token's: this one or none. */
  fixedName: string | undefined;
  proposedName: string;
}

export type ProviderChoice =
  /** The machine was here before. */
  | { kind: 'use'; provider: Provider }
  /** Made for it beforehand: it gets the key. */
  | { kind: 'adopt'; provider: Provider }
  | { kind: 'create'; name: string }
  | { kind: 'refuse'; refusal: Statement };

const longestName = 63;
/** Machines that may propose the same name. */
const mostOfOneName = 1000;

export function chooseProvider(providers: readonly Provider[], wanted: Wanted): ProviderChoice {
  const known = ownerOfKey(providers, wanted.identityKey);
  if (known !== undefined) return judgeKnown(known, wanted);
  const { fixedName, proposedName } = wanted;
  if (fixedName !== undefined) return judgeFixed(providers, fixedName, wanted.owner);
  const taken = new Set(providers.map(({ metadata }) => metadata.name));
  for (let number = 1; number <= mostOfOneName; number += 1) {
    const name = numberedName(proposedName, number);
    if (!taken.has(name)) return { kind: 'create', name };
  }
  return { kind: 'refuse', refusal: nameTaken(proposedName, `or ${mostOfOneName}`) };
}

/** The eldest, should several have the key. */
export function ownerOfKey(providers: readonly Provider[], identityKey: string): Provider | undefined {
  const ageOf = ({ metadata }: Provider): string => `${metadata.creationTimestamp ?? ''} ${metadata.name ?? ''}`;
  const known = providers.filter(({ spec }) => spec.identityKey === identityKey);
  return known.sort((one, other) => (ageOf(one) < ageOf(other) ? -1 : 1))[0];
}

function judgeKnown(provider: Provider, { owner, fixedName }: Wanted): ProviderChoice {
  const { name = '' } = provider.metadata;
  const refuse = (why: string): ProviderChoice => ({ kind: 'refuse', refusal: identityTaken(name, why) });
  if (provider.spec.owner !== owner) return refuse('which belongs to another owner');
  if (provider.spec.revoked === true) return { kind: 'refuse', refusal: providerRevoked(name) };
  if (fixedName !== undefined && fixedName !== name) return refuse(`and the join token is for ${fixedName} only`);
  return { kind: 'use', provider };
}

function judgeFixed(providers: readonly Provider[], name: string, owner: string): ProviderChoice {
  const provider = providers.find(({ metadata }) => metadata.name === name);
  if (provider === undefined) return { kind: 'create', name };
  if (provider.spec.owner !== owner) return { kind: 'refuse', refusal: nameTaken(name, 'of another owner') };
  if (provider.spec.identityKey !== undefined) return { kind: 'refuse', refusal: nameTaken(name, 'with another identity key') };
  if (provider.spec.revoked === true) return { kind: 'refuse', refusal: providerRevoked(name) };
  return { kind: 'adopt', provider };
}

/** `desk`, `desk-2`, `desk-3`, …; the name is cut where it would be too long. */
function numberedName(name: string, number: number): string {
  if (number === 1) return name;
  const suffix = `-${number}`;
  return `${name.slice(0, longestName - suffix.length).replace(/-+$/u, '')}${suffix}`;
}
