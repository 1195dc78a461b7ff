/**
 * What an owner's policy refuses. The scheduler asks before it places an instance, by what the Provider's status says of the policy; the agent
 * asks before it runs one, by the file itself. One function, so that the two never disagree. Pure.
 */
import type { Instance } from './generated/instance.ts';
import type { Provider } from './generated/provider.ts';
import { matchesImage } from './image-pattern.ts';

export type OwnerPolicyStatus = NonNullable<NonNullable<Provider['status']>['ownerPolicy']>;

/** What of an instance a policy is about, apart from amounts. */
export interface PolicySubject {
  /** A member's namespace bears the member's name. */
  namespace: string;
  image: string;
  isolation: 'Standard' | 'Sandboxed';
}

/** The rule that refuses, or undefined when none does. */
export type PolicyRule = 'stopNow' | 'unreadable' | 'hours' | 'members' | 'images' | 'runtimes';

export function policySubject({ metadata, spec }: Instance): PolicySubject {
  return { namespace: metadata.namespace ?? '', image: spec.image, isolation: spec.isolation ?? 'Standard' };
}

export function allowsMember({ members }: OwnerPolicyStatus, namespace: string): boolean {
  return isListed(members, (name) => name === namespace);
}

export function allowsImage({ images }: OwnerPolicyStatus, image: string): boolean {
  return isListed(images, (pattern) => matchesImage(pattern, image));
}

export function allowsRuntime({ runtimes }: OwnerPolicyStatus, isolation: PolicySubject['isolation']): boolean {
  return runtimes === undefined || runtimes.includes(runtimeOf(isolation));
}

/** The name by which engines know it. */
export function runtimeOf(isolation: PolicySubject['isolation']): 'runc' | 'runsc' {
  return isolation === 'Sandboxed' ? 'runsc' : 'runc';
}

/** Whoever is denied is out, also when allowed; without a list of the allowed everybody else is in. */
function isListed(
  lists: { allow?: readonly string[]; deny?: readonly string[] } | undefined,
  matches: (entry: string) => boolean,
): boolean {
  if (lists?.deny?.some(matches) === true) return false;
  return lists?.allow === undefined || lists.allow.some(matches);
}

/** The first rule that refuses the instance now. */
export function refusingRule(policy: OwnerPolicyStatus, subject: PolicySubject): PolicyRule | undefined {
  if (!policy.open) return policy.reason === 'StopNow' ? 'stopNow' : policy.reason === 'Unreadable' ? 'unreadable' : 'hours';
  if (!allowsMember(policy, subject.namespace)) return 'members';
  if (!allowsImage(policy, subject.image)) return 'images';
  if (!allowsRuntime(policy, subject.isolation)) return 'runtimes';
  return undefined;
}
