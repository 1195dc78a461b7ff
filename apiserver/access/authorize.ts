/** What a request asks for, and how it is refused. `rbac/` says who may. Pure. */
import type { UserInfo } from '../registry/resource.ts';
import { StatusError, qualifiedName } from '../registry/status-error.ts';

/** What a request asks for. */
export type Attributes = ResourceAttributes | { kind: 'path'; verb: string; path: string };

export interface ResourceAttributes {
  kind: 'resource';
  verb: string;
  group: string;
  resource: string;
  /** For example `status`. */
  subresource?: string;
  namespace?: string;
  name?: string;
  /** Of lists and watches: fields that the request's selector narrows to one value. */
  selectedFields?: ReadonlyMap<string, string>;
}

export interface Decision {
  allowed: boolean;
  /** As Kubernetes gives it to reviews and in 403; empty when there is nothing to say. */
  reason: string;
}

/** 403 in the words of kube-apiserver; `reason` is the authorizer's, if it has one. */
export function forbidden(user: UserInfo, attributes: Attributes, reason = ''): StatusError {
  const because = reason === '' ? '' : `: ${reason}`;
  const quoted = JSON.stringify;
  if (attributes.kind === 'path') {
    const { verb, path } = attributes;
    const message = `forbidden: User ${quoted(user.name)} cannot ${verb} path ${quoted(path)}${because}`;
    return new StatusError({ message, reason: 'Forbidden', details: {}, code: 403 });
  }
  const { group, resource, subresource, namespace, name, verb } = attributes;
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  const place = namespace === undefined ? 'at the cluster scope' : `in the namespace ${quoted(namespace)}`;
  const subject = `${qualifiedName(resource, group)}${name === undefined ? '' : ` ${quoted(name)}`}`;
  return new StatusError({
    message: `${subject} is forbidden: User ${quoted(user.name)} cannot ${verb} resource ${quoted(whole)} in API group ${quoted(group)} ${place}${because}`,
    reason: 'Forbidden',
    details: { ...(name === undefined ? {} : { name }), ...(group === '' ? {} : { group }), kind: resource },
    code: 403,
  });
}
