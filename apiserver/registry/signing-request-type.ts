/** CertificateSigningRequests as a built-in type. Who signs them is none of the API server's business. */
import { humanDuration } from '../../api/human-duration.ts';
import { valueAt, type JsonObject } from '../admission/json-value.ts';
import type { JsonSchema } from '../admission/structural-schema.ts';
import { ageColumn, column, nameColumn } from './builtin-columns.ts';
import type { BuiltinType } from './builtin-types.ts';
import { conditionsOf } from './signing-request-rules.ts';
import { signingRequestStrategy } from './signing-request-strategy.ts';
import { registryRoot } from './storage-keys.ts';
import { approvalSubresource, statusSubresource } from './subresources.ts';

const text = (description: string): JsonSchema => ({ type: 'string', description });
const bytes = (description: string): JsonSchema => ({ type: 'string', format: 'byte', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', nullable: true, description });
const texts = (description: string): JsonSchema => ({
  type: 'array',
  nullable: true,
  items: { type: 'string' },
  description,
  'x-kubernetes-list-type': 'atomic',
});

const specSchema: JsonSchema = {
  type: 'object',
  description: 'What is asked for, and by whom. It cannot be changed; who asked is written by the server.',
  required: ['request', 'signerName'],
  properties: {
    request: bytes('Request contains an x509 certificate signing request encoded in a "CERTIFICATE REQUEST" PEM block.'),
    signerName: text('SignerName indicates the requested signer, and is a qualified name.'),
    usages: texts('Usages specifies a set of key usages requested in the issued certificate.'),
    expirationSeconds: {
      type: 'integer',
      format: 'int32',
      nullable: true,
      description:
        'ExpirationSeconds is the requested duration of validity of the issued certificate; at least 600. The signer may give less.',
    },
    username: text('Username contains the name of the user that created the request.'),
    uid: text('UID contains the uid of the user that created the request.'),
    groups: texts('Groups contains group membership of the user that created the request.'),
    extra: {
      type: 'object',
      nullable: true,
      description: 'Extra contains extra attributes of the user that created the request.',
      additionalProperties: { type: 'array', items: { type: 'string' } },
    },
  },
};

const statusSchema: JsonSchema = {
  type: 'object',
  nullable: true,
  description: 'Whether the request was approved or denied, and the certificate that was issued for it.',
  properties: {
    conditions: {
      type: 'array',
      nullable: true,
      description: 'Conditions applied to the request. Known conditions are "Approved", "Denied", and "Failed".',
      items: {
        type: 'object',
        description: 'CertificateSigningRequestCondition describes a condition of a request.',
        required: ['type', 'status'],
        properties: {
          type: text(
            'Type of the condition. Approved and Denied are set through /approval and exclude each other; Failed through /status.',
          ),
          status: text('Status of the condition, one of True, False, Unknown. Approved, Denied, and Failed may only be True.'),
          reason: text('Reason indicates a brief reason for the request state.'),
          message: text('Message contains a human readable message with details about the request state.'),
          lastUpdateTime: time('LastUpdateTime is the time of the last update to this condition.'),
          lastTransitionTime: time('LastTransitionTime is the time the condition last transitioned from one status to another.'),
        },
      },
    },
    certificate: bytes(
      'Certificate is populated with an issued certificate by the signer after the request is approved: PEM. It does not change.',
    ),
  },
};

const schema: JsonSchema = {
  type: 'object',
  description: 'CertificateSigningRequest asks for an x509 certificate. A signer issues it once the request was approved.',
  required: ['spec'],
  properties: {
    apiVersion: text('APIVersion defines the versioned schema of this representation of an object.'),
    kind: text('Kind is a string value representing the REST resource this object represents.'),
    metadata: { type: 'object', description: "Standard object's metadata." },
    spec: specSchema,
    status: statusSchema,
  },
};

/** One word for each thing that was said, in Kubernetes' order. */
function conditionText(request: JsonObject): string {
  const types = new Set(conditionsOf(request).map(({ type }) => type));
  const decision = types.has('Denied') ? 'Denied' : types.has('Approved') ? 'Approved' : 'Pending';
  const certificate = valueAt(request, ['status', 'certificate']);
  const isIssued = typeof certificate === 'string' && certificate !== '';
  return [decision, ...(types.has('Failed') ? ['Failed'] : []), ...(isIssued ? ['Issued'] : [])].join(',');
}

function durationText(request: JsonObject): string {
  const seconds = valueAt(request, ['spec', 'expirationSeconds']);
  return typeof seconds === 'number' ? humanDuration(seconds * 1000) : '<none>';
}

export const signingRequestsType: BuiltinType = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  namespaced: false,
  shortNames: ['csr'],
  schema,
  prefix: `${registryRoot}certificatesigningrequests/`,
  strategy: signingRequestStrategy,
  subresources: [approvalSubresource, statusSubresource],
  fields: new Map([['spec.signerName', ['spec', 'signerName']]]),
  columns: [
    nameColumn,
    ageColumn,
    column(
      'SignerName',
      'string',
      'SignerName indicates the requested signer, and is a qualified name.',
      (request) => valueAt(request, ['spec', 'signerName']) ?? '<none>',
    ),
    column(
      'Requestor',
      'string',
      'Username contains the name of the user that created the request.',
      (request) => valueAt(request, ['spec', 'username']) ?? '',
    ),
    column(
      'RequestedDuration',
      'string',
      'ExpirationSeconds is the requested duration of validity of the issued certificate.',
      durationText,
    ),
    column('Condition', 'string', 'Conditions applied to the request.', conditionText),
  ],
};
