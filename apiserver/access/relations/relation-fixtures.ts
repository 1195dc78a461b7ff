/** Objects for tests of relations, as the store has them. */
import type { KubernetesObject } from '../../../api/object.ts';
import type { JsonObject } from '../../admission/json-value.ts';

export const providersPrefix = '/registry/potluck.dev/providers/';
export const instancesPrefix = '/registry/potluck.dev/instances/';
export const jointokensPrefix = '/registry/potluck.dev/jointokens/';

interface Fixture extends KubernetesObject {
  spec: JsonObject;
  status?: JsonObject;
}

export function provider(name: string, uid: string, rest: { spec?: JsonObject; deletionTimestamp?: string } = {}): Fixture {
  const { spec = {}, deletionTimestamp } = rest;
  const metadata = { name, uid, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) };
  return { apiVersion: 'potluck.dev/v1alpha1', kind: 'Provider', metadata, spec };
}

/** Assigned to nobody where the uid is absent; `secrets` are those that its environment names. */
export function instance(namespace: string, name: string, providerUID?: string, secrets: readonly string[] = []): Fixture {
  const env = secrets.map((secret) => ({ name: 'X', valueFrom: { secretKeyRef: { name: secret, key: 'x' } } }));
  const status = providerUID === undefined ? {} : { assignment: { providerUID, epoch: 1 } };
  return { apiVersion: 'potluck.dev/v1alpha1', kind: 'Instance', metadata: { namespace, name }, spec: { env }, status };
}

export function signingRequest(name: string, username: string): Fixture {
  return { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name }, spec: { username } };
}
