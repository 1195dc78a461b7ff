/** Reads an Instance as the agent needs it. */
import { createHash } from 'node:crypto';
import { effectiveResources, gpuResource } from '../api/effective-resources.ts';
import { pinnedReference } from '../api/image-reference.ts';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { runtimeOf } from '../api/owner-policy.ts';
import { reasons } from '../api/reasons.ts';
import type { Verdict } from './owner-policy/judge-instances.ts';
import type { DesiredInstance, EnvironmentEntry, EnvironmentSource, ImageWant } from './plan/world.ts';

export interface DesireContext {
  instance: Instance;
  provider: Provider;
  providerUid: string;
  /** Of the owner's policy; without one everything is as the instance asks. */
  verdict: Verdict | undefined;
}

/** Undefined when the instance is not assigned to this provider (any more), or its object is not whole. */
export function desiredInstance({ instance, provider, providerUid, verdict }: DesireContext): DesiredInstance | undefined {
  const { metadata, spec, status = {} } = instance;
  const { uid, name, namespace } = metadata;
  const { assignment } = status;
  if (assignment?.providerUID !== providerUid || uid === undefined || name === undefined || namespace === undefined) return undefined;
  return {
    uid,
    name,
    namespace,
    generation: metadata.generation ?? 0,
    epoch: assignment.epoch,
    deleting: metadata.deletionTimestamp !== undefined,
    finished: status.phase === 'Succeeded' || status.phase === 'Failed',
    powerState: spec.powerState ?? 'Running',
    restartPolicy: spec.restartPolicy ?? 'Always',
    specHash: specHash(spec),
    container: containerOf(instance, name),
    image: imageWant(instance),
    environment: environmentOf(spec),
    resources: verdict?.resources ?? effectiveResources(spec, provider.spec, provider.status?.allocatable),
    ...ownersWord(verdict),
    reportedRestartCount: status.restartCount ?? 0,
  };
}

function ownersWord(verdict: Verdict | undefined): Pick<DesiredInstance, 'held' | 'throttled'> {
  return {
    ...(verdict?.held === undefined ? {} : { held: { reason: reasons.ownerPolicy, message: verdict.held } }),
    ...(verdict === undefined || verdict.throttled.length === 0 ? {} : { throttled: verdict.throttled }),
  };
}

/** What of an image an instance wants: by the digest that it was resolved to, unless the spec names another image since. */
export function imageWant({ metadata, spec, status }: Instance): ImageWant {
  const resolved = status?.resolvedImage;
  const reference = resolved?.image === spec.image ? pinnedReference(spec.image, resolved.digest) : spec.image;
  const { namespace = '' } = metadata;
  const pullSecrets = (spec.imagePullSecrets ?? []).map(({ name }) => name);
  const key = pullSecrets.length === 0 ? reference : `${reference} by ${pullSecrets.map((name) => `${namespace}/${name}`).join(', ')}`;
  return { key, reference, written: spec.image, namespace, pullSecrets };
}

function containerOf({ spec, status }: Instance, name: string): DesiredInstance['container'] {
  const { command, args, workingDir } = spec;
  return {
    ...(command === undefined ? {} : { command }),
    ...(args === undefined ? {} : { args }),
    ...(workingDir === undefined ? {} : { workingDir }),
    hostname: status?.hostname ?? name,
    ...(runtimeOf(spec.isolation ?? 'Standard') === 'runsc' ? { runtime: 'runsc' } : {}),
  };
}

function environmentOf({ env = [], envFrom = [] }: Instance['spec']): EnvironmentEntry[] {
  const all = envFrom.flatMap(({ prefix = '', secretRef, configMapRef }): EnvironmentEntry[] => {
    const source = sourceOf(secretRef, configMapRef);
    return source === undefined ? [] : [{ kind: 'all', prefix, source }];
  });
  const single = env.map(({ name, value = '', valueFrom }): EnvironmentEntry => {
    const source = sourceOf(valueFrom?.secretKeyRef, valueFrom?.configMapKeyRef);
    if (source === undefined) return { kind: 'value', name, value };
    return { kind: 'key', name, source, key: (valueFrom?.secretKeyRef ?? valueFrom?.configMapKeyRef)?.key ?? '' };
  });
  return [...all, ...single];
}

type Reference = { name: string; optional?: boolean } | undefined;

function sourceOf(secret: Reference, configMap: Reference): EnvironmentSource | undefined {
  if (secret !== undefined) return { kind: 'Secret', name: secret.name, optional: secret.optional ?? false };
  return configMap === undefined ? undefined : { kind: 'ConfigMap', name: configMap.name, optional: configMap.optional ?? false };
}

/** Of what makes a new container necessary; of secrets and config maps that is their names, as in Kubernetes. */
function specHash(spec: Instance['spec']): string {
  const { image, command, args, env = [], envFrom = [], workingDir, resources, isolation = 'Standard' } = spec;
  const variables = env.map(({ name, value = '', valueFrom }) => (valueFrom === undefined ? [name, value] : [name, value, valueFrom]));
  const parts: unknown[] = [image, command ?? null, args ?? null, variables, workingDir ?? null];
  // Only where there is one: instances without keep the hash that they have.
  if (envFrom.length > 0) parts.push(envFrom);
  if (isolation !== 'Standard') parts.push(isolation);
  const gpus = resources.requests[gpuResource] ?? resources.limits?.[gpuResource];
  if (gpus !== undefined) parts.push({ gpus: String(gpus) });
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}
