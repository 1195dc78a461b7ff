/** Reads an Instance as the agent needs it. */
import { createHash } from 'node:crypto';
import { effectiveResources } from '../api/effective-resources.ts';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { runtimeOf } from '../api/owner-policy.ts';
import { reasons } from '../api/reasons.ts';
import type { Verdict } from './owner-policy/judge-instances.ts';
import type { DesiredInstance } from './plan/world.ts';

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

function containerOf({ spec, status }: Instance, name: string): DesiredInstance['container'] {
  const { image, command, args, env = [], workingDir } = spec;
  return {
    image,
    ...(command === undefined ? {} : { command }),
    ...(args === undefined ? {} : { args }),
    env: env.map((variable) => ({ name: variable.name, value: variable.value ?? '' })),
    ...(workingDir === undefined ? {} : { workingDir }),
    hostname: status?.hostname ?? name,
    ...(runtimeOf(spec.isolation ?? 'Standard') === 'runsc' ? { runtime: 'runsc' } : {}),
  };
}

/** Of what makes a new container necessary. What is as it always was is left out, so that an agent that knows more recreates nothing. */
function specHash({ image, command, args, env, workingDir, isolation = 'Standard' }: Instance['spec']): string {
  const parts = [image, command ?? null, args ?? null, (env ?? []).map(({ name, value }) => [name, value ?? '']), workingDir ?? null];
  const sandboxed = isolation === 'Standard' ? [] : [isolation];
  return createHash('sha256')
    .update(JSON.stringify([...parts, ...sandboxed]))
    .digest('hex')
    .slice(0, 16);
}
