/** Objects are created only in namespaces that exist and stay (Kubernetes' NamespaceLifecycle admission). */
import type { NamespaceGate } from '../registry/namespace-gate.ts';
import type { AdmissionRule } from './admission-request.ts';

export interface NamespaceLifecycleOptions {
  namespaces: NamespaceGate;
}

export function namespaceLifecycle({ namespaces }: NamespaceLifecycleOptions): AdmissionRule {
  return {
    name: 'NamespaceLifecycle',
    async begin({ operation, definition, name, namespace }) {
      if (operation === 'CREATE' && namespace !== undefined) await namespaces.admitCreation(definition, name, namespace);
    },
  };
}
