/** Whether an approved request of the signer `kubernetes.io/kube-apiserver-client` can be signed as it stands. Pure. */
import { mastersGroup } from '../../api/names.ts';
import { reasons } from '../../api/reasons.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import type { Statement } from './request-conditions.ts';
import type { ReadRequest } from './signer.ts';

export const clientSigner = 'kubernetes.io/kube-apiserver-client';

const optionalUsages: ReadonlySet<string> = new Set(['digital signature', 'key encipherment']);
/** What a certificate's subject may have besides the user and the groups. */
const knownAttributes: ReadonlySet<string> = new Set(['CN', 'O', 'OU', 'C', 'ST', 'L']);

/** Undefined when it can. Words and order are those of kube-controller-manager's signer, where it has them. */
export function judgeClientRequest({ spec }: CertificateSigningRequest, { keyProblem, subject }: ReadRequest): Statement | undefined {
  const problem = usageProblem(spec.usages ?? []) ?? keyProblem ?? subjectProblem(subject);
  return problem === undefined ? undefined : { reason: reasons.signerValidationFailure, message: problem };
}

function usageProblem(usages: readonly string[]): string | undefined {
  const unfit = usages.find((usage) => usage !== 'client auth' && !optionalUsages.has(usage));
  if (unfit !== undefined) return `invalid usage for client certificate: ${unfit}`;
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth';
}

function subjectProblem(subject: ReadRequest['subject']): string | undefined {
  if (subject.filter(({ type }) => type === 'CN').length !== 1) return 'the subject must have one common name';
  for (const { type, value } of subject) {
    if (!knownAttributes.has(type)) return `the subject may not have the attribute ${type.slice(0, 63)}`;
    if (value === '' || value.startsWith('#') || hasControls(value)) return `the attribute ${type} of the subject must be plain text`;
    if (type === 'O' && value === mastersGroup) return `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`;
  }
  return undefined;
}

/** Text that is read in two ways is another name to each reader. */
function hasControls(value: string): boolean {
  return /[\p{Cc}\p{Cs}]/u.test(value);
}
