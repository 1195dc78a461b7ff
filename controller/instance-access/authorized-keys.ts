/** Whose keys open an instance. Pure. */
import type { Instance } from '../../api/generated/instance.ts';
import type { Member } from '../../api/generated/member.ts';
import { parseSshPublicKey } from '../../api/ssh-public-key.ts';

export type AuthorizedKey = NonNullable<NonNullable<NonNullable<Instance['status']>['ssh']>['authorizedKeys']>[number];

/** Of names of members; who is missing or being deleted has none. */
export type MemberLookup = (name: string) => Member | undefined;

/** As the definition bounds them: every member's most, of all that an instance may name. */
const mostKeys = 1056;

/** Names of members who may enter: whose namespace it is, and who is named. */
export function membersOf({ metadata, spec }: Instance, lookUp: MemberLookup): string[] {
  const { namespace = '' } = metadata;
  const owner = lookUp(namespace)?.status?.namespace === namespace ? [namespace] : [];
  return [...new Set([...owner, ...(spec.ssh?.members ?? [])])].sort();
}

/** In the order of members' names, and of keys; what cannot be read as a key opens nothing. */
export function authorizedKeys(instance: Instance, lookUp: MemberLookup): AuthorizedKey[] {
  return membersOf(instance, lookUp)
    .flatMap((name) => keysOf(lookUp(name)).map((key) => ({ member: name, key })))
    .slice(0, mostKeys);
}

/** Without comments, each once, sorted. */
function keysOf(member: Member | undefined): string[] {
  if (member === undefined || member.metadata.deletionTimestamp !== undefined) return [];
  const keys = (member.spec.sshKeys ?? []).flatMap((line) => {
    const { key } = parseSshPublicKey(line);
    return key === undefined ? [] : [`${key.type} ${Buffer.from(key.blob).toString('base64')}`];
  });
  return [...new Set(keys)].sort();
}
