/** SSH keys as a member's status shows them. Pure: the hash is handed in. */
import type { Member } from '../../api/generated/member.ts';
import { parseSshPublicKey, sshFingerprint } from '../../api/ssh-public-key.ts';
import type { MemberFacts } from './judge-member.ts';

/** As the definition bounds it. */
const longestComment = 1024;

/** The schema refuses nearly all that is no key; what passes it and is none is named in `keyProblems`. */
export function describeSshKeys(
  { spec }: Member,
  sha256Base64: (bytes: Uint8Array) => string,
): Pick<MemberFacts, 'sshKeys' | 'keyProblems'> {
  const sshKeys: MemberFacts['sshKeys'] = [];
  const keyProblems: string[] = [];
  for (const [index, line] of (spec.sshKeys ?? []).entries()) {
    const { key, problem } = parseSshPublicKey(line);
    if (key === undefined) {
      keyProblems.push(`spec.sshKeys[${index}]: ${problem}`);
      continue;
    }
    const comment = key.comment.slice(0, longestComment);
    const described = { type: key.type, bits: key.bits, fingerprint: sshFingerprint(sha256Base64(key.blob)) };
    sshKeys.push(comment === '' ? described : { ...described, comment });
  }
  return { sshKeys, keyProblems };
}
