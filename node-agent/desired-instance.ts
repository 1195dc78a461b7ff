/** Reads an Instance as the agent needs it. */
import { createHash } from 'node:crypto';
import { effectiveResources } from '../api/effective-resources.ts';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import type { DesiredInstance } from './plan/world.ts';

/** Undefined when the instance is not assigned to this provider (any more), or its object is not whole. */
export function desiredInstance(instance: Instance, provider: Provider, providerUid: string): DesiredInstance | undefined {
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
    resources: effectiveResources(spec, provider.spec, provider.status?.allocatable),
    reportedRestartCount: status.restartCount ?? 0,
  };
}

function containerOf({ spec, status }: Instance, name: string): DesiredInstance['container'] {
  const { image, command, args, env = [], workingDir } = spec;
  return {
    image,
    ...(command === undefined ? {} : { command }),
    ...(args === undefined ? {} : { args }),
    env: env.map((variable) => ({ name: variable.name, value: variable.value ?? '' })),
    ...(workingDir === undefined ? {} : { workingDir }),
    hostname: status?.hostname ?? name,
  };
}

/** Of what makes a new container necessary. */
function specHash({ image, command, args, env, workingDir }: Instance['spec']): string {
  const parts = [image, command ?? null, args ?? null, (env ?? []).map(({ name, value }) => [name, value ?? '']), workingDir ?? null];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}
