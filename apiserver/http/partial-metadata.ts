import type { KubernetesObject } from '../../api/object.ts';

/** `meta.k8s.io` PartialObjectMetadata: an object's metadata and nothing else. */
export function partialMetadata(object: KubernetesObject, version: 'v1' | 'v1beta1'): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
