/** CustomResourceDefinitions as the registry reads them; the shape is that of `apiextensions.k8s.io/v1`. */
import type { Condition, KubernetesObject } from '../../api/object.ts';
import type { JsonSchema } from '../admission/structural-schema.ts';

export interface DefinitionNames {
  plural: string;
  singular?: string;
  shortNames?: string[];
  kind: string;
  listKind?: string;
  categories?: string[];
}

export interface DefinitionVersion {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string | null;
  schema?: { openAPIV3Schema?: JsonSchema };
  subresources?: {
    status?: object;
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  };
  additionalPrinterColumns?: {
    name: string;
    type: string;
    format?: string;
    description?: string;
    priority?: number;
    jsonPath: string;
  }[];
  selectableFields?: { jsonPath: string }[];
}

export interface DefinitionStatus {
  conditions?: Condition[] | null;
  acceptedNames?: DefinitionNames;
  storedVersions?: string[];
}

export interface CustomResourceDefinition extends KubernetesObject {
  spec: {
    group: string;
    names: DefinitionNames;
    scope: 'Cluster' | 'Namespaced';
    versions: DefinitionVersion[];
    conversion?: { strategy: string };
  };
  status?: DefinitionStatus;
}

/** Holds a definition until its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export function conditionOf(definition: CustomResourceDefinition, type: string): Condition | undefined {
  return definition.status?.conditions?.find((condition) => condition.type === type);
}

export function isEstablished(definition: CustomResourceDefinition): boolean {
  return conditionOf(definition, 'Established')?.status === 'True';
}

/** The conditions with one set; its transition time moves only when its status does. */
export function withCondition(
  conditions: readonly Condition[],
  change: { type: string; status: 'True' | 'False'; reason: string; message: string },
  now: string,
): Condition[] {
  const old = conditions.find(({ type }) => type === change.type);
  const lastTransitionTime = old?.status === change.status ? old.lastTransitionTime : now;
  const { type, status, reason, message } = change;
  const next: Condition = { type, status, lastTransitionTime, reason, message };
  return old === undefined ? [...conditions, next] : conditions.map((condition) => (condition.type === type ? next : condition));
}
