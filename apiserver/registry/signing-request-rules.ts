/** What a CertificateSigningRequest may be and become, after Kubernetes' `pkg/apis/certificates/validation`. Pure. */
import { X509Certificate } from 'node:crypto';
import { providerSigner } from '../../api/names.ts';
import { dnsLabelProblems, dnsSubdomainProblems } from '../../api/name-rules.ts';
import { maxRequestBytes, readSigningRequest } from '../access/signing-request.ts';
import { duplicateValue, forbiddenField, invalidValue, requiredValue, tooLong, unsupportedValue } from '../admission/field-errors.ts';
import { equalJson, isObject, objectAt, valueAt, type JsonObject } from '../admission/json-value.ts';
import type { FieldError } from './status-error.ts';
import { approvalSubresource, statusSubresource } from './subresources.ts';

/** The first two exclude each other; what holds of the three stays. */
export const settledConditionTypes = ['Approved', 'Denied', 'Failed'] as const;

/** Of requests to our own signers, which machines make that are not known yet: the PEM text, and all annotations together, in bytes. */
const ownSignerDomain = `${providerSigner.split('/', 1)[0] ?? ''}/`;
const ownRequestMaxBytes = 4 * 1024;
const ownAnnotationsMaxBytes = 8 * 1024;
const shortestSeconds = 600;
const longestDomain = 253;
/** Room for a namespace, a dot and a name. */
const longestSignerPath = 253 + 1 + 253;
/** Bytes of a request that a message shows, as Go writes them. */
const shownBytes = 64;

const usages: ReadonlySet<unknown> = new Set([
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
]);

export function conditionsOf(request: JsonObject): JsonObject[] {
  const conditions = valueAt(request, ['status', 'conditions']);
  return Array.isArray(conditions) ? (conditions as unknown[]).filter(isObject) : [];
}

/** Of a new one. */
export function signingRequestErrors(object: JsonObject): FieldError[] {
  const spec = objectAt(object, 'spec') ?? {};
  const { request, signerName, expirationSeconds } = spec;
  const signer = textOf(signerName);
  const isShort = typeof expirationSeconds === 'number' && expirationSeconds < shortestSeconds;
  return [
    ...requestErrors(Buffer.from(textOf(request), 'base64'), signer),
    ...usageErrors(spec['usages']),
    ...signerNameErrors('spec.signerName', signer),
    ...(isShort
      ? [invalidValue('spec.expirationSeconds', expirationSeconds, 'may not specify a duration less than 600 seconds (10 minutes)')]
      : []),
    ...annotationErrors(object, signer),
  ];
}

function requestErrors(pem: Buffer, signer: string): FieldError[] {
  const field = 'spec.request';
  const most = signer.startsWith(ownSignerDomain) ? ownRequestMaxBytes : maxRequestBytes;
  if (pem.length > most) return [tooLong(field, most)];
  const { problem } = readSigningRequest(pem);
  if (problem === undefined) return [];
  const shown = [...pem.subarray(0, shownBytes)].map((byte) => `0x${byte.toString(16)}`).join(', ');
  const value = `[]byte{${shown}${pem.length > shownBytes ? ', …' : ''}}`;
  return [{ reason: 'FieldValueInvalid', field, message: `Invalid value: ${value}: ${problem}` }];
}

function usageErrors(given: unknown): FieldError[] {
  const field = 'spec.usages';
  const list: unknown[] = Array.isArray(given) ? given : [];
  if (list.length === 0) return [requiredValue(field)];
  const unknown = list.flatMap((usage, index) => (usages.has(usage) ? [] : [unsupportedValue(`${field}[${index}]`, usage, [...usages])]));
  const twice = list.flatMap((usage, index) => (list.indexOf(usage) === index ? [] : [duplicateValue(`${field}[${index}]`, usage)]));
  return [...unknown, ...twice];
}

function annotationErrors(object: JsonObject, signer: string): FieldError[] {
  if (!signer.startsWith(ownSignerDomain)) return [];
  const annotations = objectAt(objectAt(object, 'metadata') ?? {}, 'annotations') ?? {};
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)),
    0,
  );
  return bytes > ownAnnotationsMaxBytes ? [tooLong('metadata.annotations', ownAnnotationsMaxBytes)] : [];
}

function signerNameErrors(field: string, signer: string): FieldError[] {
  if (signer === '') return [requiredValue(field)];
  if (signer === 'kubernetes.io/legacy-unknown') {
    return [invalidValue(field, signer, 'the legacy signerName is not allowed via this API version')];
  }
  const [domain = '', path, ...more] = signer.split('/');
  if (path === undefined || more.length > 0) {
    return [invalidValue(field, signer, "must be a fully qualified domain and path of the form 'signer.domain/signer-name'")];
  }
  const labels = domain.split('.');
  return [
    ...(domain.length > longestDomain ? [tooLong(field, longestDomain)] : []),
    ...labelErrors(field, domain, labels, dnsLabelProblems),
    ...(labels.length < 2 ? [invalidValue(field, domain, 'should be a domain with at least two segments separated by dots')] : []),
    ...labelErrors(field, path, path.split('.'), dnsSubdomainProblems),
    ...(path.length > longestSignerPath ? [tooLong(field, longestSignerPath)] : []),
  ];
}

/** Of the first label that is wrong. */
function labelErrors(field: string, whole: string, labels: readonly string[], problemsOf: (label: string) => string[]): FieldError[] {
  const wrong = labels.find((label) => problemsOf(label).length > 0);
  if (wrong === undefined) return [];
  return problemsOf(wrong).map((problem) => invalidValue(field, whole, `validating label ${JSON.stringify(wrong)}: ${problem}`));
}

/** Of a change; the spec does not change. */
export function signingRequestUpdateErrors(object: JsonObject, old: JsonObject, subresource: string | undefined): FieldError[] {
  const certificate = certificateText(object);
  const problem = certificate === '' ? undefined : certificateProblem(Buffer.from(certificate, 'base64').toString('latin1'));
  return [
    ...conditionErrors(conditionsOf(object)),
    ...(problem === undefined ? [] : [invalidValue('status.certificate', '<certificate data>', problem)]),
    ...settledErrors(conditionsOf(object), conditionsOf(old), subresource),
    ...certificateChangeErrors(certificate, certificateText(old), subresource),
  ];
}

function certificateText(request: JsonObject): string {
  return textOf(valueAt(request, ['status', 'certificate']));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function conditionErrors(conditions: readonly JsonObject[]): FieldError[] {
  const types = conditions.map(({ type }) => type);
  return conditions.flatMap(({ type, status }, index) => {
    const field = `status.conditions[${index}]`;
    const errors: FieldError[] = [];
    if (type === undefined || type === '') errors.push(requiredValue(`${field}.type`));
    const isSettling = settledConditionTypes.some((each) => each === type);
    const allowed = isSettling ? ['True'] : ['False', 'True', 'Unknown'];
    if (status === undefined || status === '') errors.push(requiredValue(`${field}.status`));
    else if (!allowed.includes(textOf(status))) errors.push(unsupportedValue(`${field}.status`, status, allowed));
    const other = { Approved: 'Denied', Denied: 'Approved' }[textOf(type)];
    if (other !== undefined && types.slice(0, index).includes(other)) {
      errors.push(invalidValue(`${field}.type`, type, 'Approved and Denied conditions are mutually exclusive'));
    }
    if (types.indexOf(type) !== index) errors.push(duplicateValue(`${field}.type`, type));
    return errors;
  });
}

function settledErrors(after: readonly JsonObject[], before: readonly JsonObject[], subresource: string | undefined): FieldError[] {
  const field = 'status.conditions';
  return settledConditionTypes.flatMap((type) => {
    const [now, then] = [after, before].map((conditions) => conditions.filter((condition) => condition['type'] === type));
    if (now === undefined || then === undefined) return [];
    if (now.length < then.length) return [forbiddenField(field, `updates may not remove a condition of type ${JSON.stringify(type)}`)];
    if (type === 'Failed' || subresource === approvalSubresource.name) return [];
    if (now.length > then.length) return [forbiddenField(field, `updates may not add a condition of type ${JSON.stringify(type)}`)];
    return equalJson(now, then) ? [] : [forbiddenField(field, `updates may not modify a condition of type ${JSON.stringify(type)}`)];
  });
}

function certificateChangeErrors(after: string, before: string, subresource: string | undefined): FieldError[] {
  if (after === before) return [];
  if (subresource !== statusSubresource.name) return [forbiddenField('status.certificate', 'updates may not set certificate content')];
  return before === '' ? [] : [forbiddenField('status.certificate', 'updates may not modify existing certificate content')];
}

const block = /-----BEGIN ([A-Z0-9 ]{1,64})-----[ \t]*\r?\n([^-]*)-----END [A-Z0-9 ]{1,64}-----/gu;

/** Why the text is no chain of certificates. */
function certificateProblem(pem: string): string | undefined {
  const blocks = [...pem.matchAll(block)];
  if (blocks.length === 0) return 'must contain at least one CERTIFICATE PEM block';
  for (const [text, type, body = ''] of blocks) {
    if (type !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
    try {
      new X509Certificate(text);
    } catch {
      return 'x509: malformed certificate';
    }
  }
  return undefined;
}
