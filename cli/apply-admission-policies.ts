import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import type { KubernetesObject } from '../api/object.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';
import { applyObject, markedWithSource } from './apply-object.ts';

const ofPolicies = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false } as const;
const types: readonly ResourceType<KubernetesObject>[] = [
  { ...ofPolicies, kind: 'ValidatingAdmissionPolicy', plural: 'validatingadmissionpolicies' },
  { ...ofPolicies, kind: 'ValidatingAdmissionPolicyBinding', plural: 'validatingadmissionpolicybindings' },
];

/** Puts the policies and bindings of a file into the API, those that changed anew; what else the API has is left alone. */
export async function applyAdmissionPolicies(client: Client, path: string, signal: AbortSignal): Promise<void> {
  const text = await readFile(path, 'utf8');
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as KubernetesObject | null;
    if (object === null) continue;
    const type = types.find(({ kind }) => kind === object.kind);
    if (type === undefined) throw new TypeError(`${path} has a ${object.kind}, which is no admission policy`);
    await applyObject(client, type, markedWithSource(object, JSON.stringify(object)), signal);
  }
}
