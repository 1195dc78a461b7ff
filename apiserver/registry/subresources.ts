/** The parts of objects that have a URL and rights of their own. */
import type { ResourceDefinition } from './resource.ts';

export interface SubresourceDefinition {
  name: string;
  verbs: readonly string[];
  /** The one field of the object that a write through it changes; absent where it is no view of the object. */
  field?: 'spec' | 'status';
  /** Of what it answers with, where that is of another kind. */
  type?: { group: string; version: string; kind: string };
  /** Name of the server that answers it. */
  backend?: string;
}

const readAndChange = ['get', 'patch', 'update'] as const;

/** Where it is declared, the main resource leaves the status alone. */
export const statusSubresource: SubresourceDefinition = { name: 'status', verbs: readAndChange, field: 'status' };
/** The part of a signing request's status that says whether it may be signed. */
export const approvalSubresource: SubresourceDefinition = { name: 'approval', verbs: readAndChange, field: 'status' };
/** Changes only `spec.finalizers` of a namespace. */
export const finalizeSubresource: SubresourceDefinition = { name: 'finalize', verbs: ['update'], field: 'spec' };
export const tokenSubresource: SubresourceDefinition = {
  name: 'token',
  verbs: ['create'],
  type: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
};

export function findSubresource({ subresources }: ResourceDefinition, name: string): SubresourceDefinition | undefined {
  return subresources.find((each) => each.name === name);
}

/** Whether the status is written apart from the rest. */
export function separatesStatus(definition: ResourceDefinition): boolean {
  return findSubresource(definition, statusSubresource.name) !== undefined;
}
