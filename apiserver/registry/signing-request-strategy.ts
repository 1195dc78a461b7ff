/**
 * Requests for certificates: who asked is written by the server, what is asked does not change, and approval and certificate are written
 * apart. After Kubernetes' `pkg/registry/certificates/certificates/strategy.go`.
 */
import { cloneJson, isObject, objectAt, valueAt, without, type JsonObject } from '../admission/json-value.ts';
import { timestamp } from './object-metadata.ts';
import type { UserInfo } from './resource.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import { conditionsOf, settledConditionTypes, signingRequestErrors, signingRequestUpdateErrors } from './signing-request-rules.ts';
import { badRequest } from './status-error.ts';
import { approvalSubresource, statusSubresource } from './subresources.ts';

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u;

export const signingRequestStrategy: ResourceStrategy = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'path-segment',
  decode(request) {
    requireBase64(request, 'spec', 'request');
    requireBase64(request, 'status', 'certificate');
  },
  prepareForCreate(request, user) {
    const spec = objectAt(request, 'spec');
    if (spec !== undefined) request['spec'] = { ...without(spec, 'username', 'uid', 'groups', 'extra'), ...requesterFields(user) };
    request['status'] = {};
  },
  prepareForUpdate(request, old, { subresource, nowMs }) {
    request['spec'] = cloneJson(old['spec']);
    if (subresource === undefined) return;
    const conditions = conditionsOf(request).map((condition) => cloneJson(condition));
    const before = conditionsOf(old);
    const kept = subresource === statusSubresource.name ? keepApproval(conditions, before) : conditions;
    const status = subresource === approvalSubresource.name ? objectAt(old, 'status') : objectAt(request, 'status');
    const stamped = kept.map((condition) => withTimes(condition, before, timestamp(nowMs)));
    request['status'] = { ...without(cloneJson(status ?? {}), 'conditions'), ...(stamped.length === 0 ? {} : { conditions: stamped }) };
  },
  validate: (request, old, subresource) =>
    old === undefined ? signingRequestErrors(request) : signingRequestUpdateErrors(request, old, subresource),
};

function requesterFields({ name, uid, groups, extra }: UserInfo): JsonObject {
  return {
    username: name,
    ...(uid === undefined || uid === '' ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups: [...groups] }),
    ...(extra === undefined || Object.keys(extra).length === 0 ? {} : { extra: cloneJson(extra as JsonObject) }),
  };
}

/** What a write of the status repeats of the approval is taken as it stands; what it adds or leaves out is for validation to refuse. */
function keepApproval(conditions: JsonObject[], before: readonly JsonObject[]): JsonObject[] {
  const kept = [...conditions];
  for (const type of settledConditionTypes.slice(0, 2)) {
    const olds = before.filter((condition) => condition['type'] === type);
    const places = kept.flatMap((condition, index) => (condition['type'] === type ? [index] : []));
    if (olds.length !== places.length) continue;
    for (const [nth, place] of places.entries()) kept[place] = cloneJson(olds[nth]) as JsonObject;
  }
  return kept;
}

function withTimes(condition: JsonObject, before: readonly JsonObject[], now: string): JsonObject {
  const same = before.find(({ type, status }) => type === condition['type'] && status === condition['status']);
  const { lastUpdateTime, lastTransitionTime } = condition;
  return {
    ...condition,
    lastUpdateTime: lastUpdateTime ?? now,
    lastTransitionTime: lastTransitionTime ?? same?.['lastTransitionTime'] ?? now,
  };
}

function requireBase64(request: JsonObject, part: string, field: string): void {
  const value = valueAt(request, [part, field]);
  if (value === null) {
    const parent = request[part];
    if (isObject(parent)) Reflect.deleteProperty(parent, field);
  } else if (typeof value === 'string' && !base64.test(value)) {
    const kind = 'CertificateSigningRequest';
    throw badRequest(`${kind} in version "v1" cannot be handled as a ${kind}: illegal base64 data in ${part}.${field}`);
  }
}
