/**
 * Who may approve and sign which requests for certificates, and what may not be asked for. After Kubernetes' admission plugins
 * CertificateApproval, CertificateSigning and CertificateSubjectRestriction.
 */
import { certificateSigningRequests } from '../../api/resource-type.ts';
import { mastersGroup } from '../../api/names.ts';
import { equalJson, valueAt, type JsonObject } from '../admission/json-value.ts';
import type { CheckedWrite } from '../registry/resource-context.ts';
import type { UserInfo } from '../registry/resource.ts';
import { qualifiedName, StatusError } from '../registry/status-error.ts';
import { approvalSubresource, statusSubresource } from '../registry/subresources.ts';
import type { ResourceAttributes } from './authorize.ts';
import { readSigningRequest } from './signing-request.ts';

/** Signs what a user of the API shows; what is asked for is what is signed. */
const clientSigner = 'kubernetes.io/kube-apiserver-client';

interface Judge {
  authorize(user: UserInfo, attributes: ResourceAttributes): { allowed: boolean };
}

/** Throws 403. */
export function checkSigning(judge: Judge, write: CheckedWrite): void {
  const { definition, subresource, object, old, options } = write;
  const { group, plural } = certificateSigningRequests;
  if (definition.group !== group || definition.resource !== plural) return;
  // By what is stored: what the write says of it does not count.
  const signer = String(valueAt(old ?? object, ['spec', 'signerName']));
  const refuse = (what: string): StatusError =>
    forbidden(write, `user not permitted to ${what} requests with signerName ${JSON.stringify(signer)}`);
  if (old === undefined) {
    if (signer === clientSigner && asksForMasters(object)) {
      throw forbidden(write, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`);
    }
  } else if (subresource === approvalSubresource.name) {
    if (!maySay(judge, options.user, 'approve', signer)) throw refuse('approve');
  } else if (subresource === statusSubresource.name && !equalJson(object['status'] ?? {}, old['status'] ?? {})) {
    if (!maySay(judge, options.user, 'sign', signer)) throw refuse('sign');
  }
}

/** By the signer's own name, or by all of its domain. */
function maySay(judge: Judge, user: UserInfo, verb: 'approve' | 'sign', signer: string): boolean {
  const domain = signer.split('/', 1)[0] ?? '';
  return [signer, `${domain}/*`].some((name) => {
    const attributes = { kind: 'resource', verb, group: certificateSigningRequests.group, resource: 'signers', name } as const;
    return judge.authorize(user, attributes).allowed;
  });
}

function asksForMasters(object: JsonObject): boolean {
  const { request } = readSigningRequest(Buffer.from(String(valueAt(object, ['spec', 'request'])), 'base64'));
  return request?.subject.some(({ type, value }) => type === 'O' && value === mastersGroup) !== false;
}

function forbidden({ definition: { group, resource }, object }: CheckedWrite, why: string): StatusError {
  const name = String(valueAt(object, ['metadata', 'name']));
  return new StatusError({
    message: `${qualifiedName(resource, group)} ${JSON.stringify(name)} is forbidden: ${why}`,
    reason: 'Forbidden',
    details: { name, group, kind: resource },
    code: 403,
  });
}
