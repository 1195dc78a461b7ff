/**
 * Which instances the owner's policy lets run, and with how much. Pure and deterministic: the same instances and policy give the same
 * answer in whatever order they are listed, so a restarted agent stops no other instances than the one before.
 */
import { givenAmount, resourceNames } from '../../api/effective-resources.ts';
import type { EffectiveResources, ResourceName } from '../../api/effective-resources.ts';
import { refusingRule } from '../../api/owner-policy.ts';
import type { OwnerPolicyStatus, PolicyRule, PolicySubject } from '../../api/owner-policy.ts';

export interface JudgedInstance extends PolicySubject {
  uid: string;
  /** Milliseconds since the epoch. */
  createdAtMs: number;
  /** Whether it is to run; one that is stopped only has its disk. */
  runs: boolean;
  /** Before the policy cuts anything. */
  resources: EffectiveResources;
  /** Whether it states a limit or a request of its own for disk; a default is cut like any throttle. */
  statesDisk: boolean;
}

export interface Verdict {
  /** As the policy cut them. */
  resources: EffectiveResources;
  /** Why it may not run; absent when it may. Names the rule. */
  held?: string;
  /** What was cut, for example `cpu 2000m to 500m (perInstance.cpu)`. */
  throttled: readonly string[];
}

/** Without a policy everything may run as it asks. */
export function judgeInstances(policy: OwnerPolicyStatus | undefined, instances: readonly JudgedInstance[]): Map<string, Verdict> {
  if (policy === undefined) return new Map(instances.map(({ uid, resources }) => [uid, { resources, throttled: [] }]));
  const used = new Map<ResourceName, number>();
  const verdicts = new Map<string, Verdict>();
  for (const instance of [...instances].sort(oldestFirst)) {
    const verdict = judgeAlone(policy, instance);
    const held = verdict.held ?? (instance.runs ? overTotal(policy, verdict.resources, used) : undefined);
    // What an instance that may not run wrote before is still there, but its disk grows no more.
    if (held === undefined) takePlace(used, verdict.resources, instance.runs);
    verdicts.set(instance.uid, held === undefined ? verdict : { ...verdict, held });
  }
  return verdicts;
}

/** Over the total the newest stop first: an instance runs if there is room beside the older ones that do. */
function oldestFirst(a: JudgedInstance, b: JudgedInstance): number {
  return a.createdAtMs - b.createdAtMs || (a.uid < b.uid ? -1 : 1);
}

function judgeAlone(policy: OwnerPolicyStatus, instance: JudgedInstance): Verdict {
  const { resources, throttled } = cut(policy, instance);
  const rule = refusingRule(policy, instance);
  const held = rule === undefined ? tooLarge(policy, instance) : sentence(rule, policy, instance);
  return { resources, throttled, ...(held === undefined ? {} : { held }) };
}

function sentence(rule: PolicyRule, policy: OwnerPolicyStatus, { namespace, image, isolation }: JudgedInstance): string {
  switch (rule) {
    case 'stopNow':
      return "The machine's owner stops everything now (stopNow)";
    case 'unreadable':
      return "The machine's owner has a policy that cannot be read; until it can, nothing runs";
    case 'hours':
      return `The machine's owner lends it at other hours (hours)${policy.nextChange === undefined ? '' : `; it opens at ${policy.nextChange}`}`;
    case 'members':
      return `The machine's owner does not lend it to ${namespace} (members)`;
    case 'images':
      return `The machine's owner does not allow the image ${image} (images)`;
    case 'runtimes':
      return `The machine's owner does not allow isolation ${isolation} (runtimes)`;
  }
}

/** Memory and disk that are promised to an instance cannot be had in part. */
function tooLarge({ perInstance }: OwnerPolicyStatus, { resources, statesDisk }: JudgedInstance): string | undefined {
  const [memory, disk] = [givenAmount(perInstance, 'memory'), givenAmount(perInstance, 'disk')];
  if (memory !== undefined && resources.memoryRequestBytes > memory)
    return beyond('perInstance.memory', resources.memoryRequestBytes, memory);
  if (disk !== undefined && statesDisk && resources.diskLimitBytes > disk)
    return beyond('perInstance.disk', resources.diskLimitBytes, disk);
  return undefined;
}

function beyond(rule: string, asked: number, most: number): string {
  return `The instance asks for ${mebibytes(asked)}, and the machine's owner allows one instance ${mebibytes(most)} (${rule})`;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)}Mi`;
}

function overTotal(policy: OwnerPolicyStatus, resources: EffectiveResources, used: ReadonlyMap<ResourceName, number>): string | undefined {
  for (const name of resourceNames) {
    const most = givenAmount(policy.total, name);
    const amount = amountOf(resources, name, true);
    if (most === undefined || amount === 0 || (used.get(name) ?? 0) + amount <= most) continue;
    return `Older instances leave no room under what the machine's owner lends in all (total.${name}: ${String(policy.total?.[name])})`;
  }
  return undefined;
}

function takePlace(used: Map<ResourceName, number>, resources: EffectiveResources, runs: boolean): void {
  for (const name of resourceNames) used.set(name, (used.get(name) ?? 0) + amountOf(resources, name, runs));
}

/** What of the total an instance takes: its requests, as placement counts them; disk also while it is stopped. */
function amountOf(resources: EffectiveResources, name: ResourceName, runs: boolean): number {
  if (name === 'disk') return resources.diskRequestBytes;
  if (!runs) return 0;
  switch (name) {
    case 'cpu':
      return resources.cpuRequestMillicores;
    case 'memory':
      return resources.memoryRequestBytes;
    case 'nvidia.com/gpu':
      return resources.gpus;
    // Of these a total is shared by shaping and by the engine's own bound; nobody is stopped for them.
    case 'pids':
    case 'ingress-bandwidth':
    case 'egress-bandwidth':
      return 0;
  }
}

/** Brings limits within the bounds for one instance. */
function cut(
  { perInstance, total }: OwnerPolicyStatus,
  { resources, statesDisk }: JudgedInstance,
): Pick<Verdict, 'resources' | 'throttled'> {
  const throttled: string[] = [];
  const bound = (name: ResourceName, value: number | undefined, format: (value: number) => string): number | undefined => {
    const [one, all] = [givenAmount(perInstance, name), givenAmount(total, name)];
    const most = Math.min(one ?? Infinity, all ?? Infinity);
    if (most === Infinity || (value !== undefined && value <= most)) return value;
    const rule = `${most === one ? 'perInstance' : 'total'}.${name}`;
    if (value !== undefined) throttled.push(`${name} ${format(value)} to ${format(most)} (${rule})`);
    return most;
  };
  const cpuLimitMillicores = bound('cpu', resources.cpuLimitMillicores, (millis) => `${millis}m`) ?? 0;
  const memoryLimitBytes = bound('memory', resources.memoryLimitBytes, mebibytes) ?? 0;
  const bits = (value: number): string => `${value} bit/s`;
  return {
    resources: {
      cpuLimitMillicores,
      cpuRequestMillicores: Math.min(resources.cpuRequestMillicores, cpuLimitMillicores),
      memoryLimitBytes,
      memoryRequestBytes: resources.memoryRequestBytes,
      diskRequestBytes: resources.diskRequestBytes,
      diskLimitBytes: statesDisk ? resources.diskLimitBytes : (bound('disk', resources.diskLimitBytes, mebibytes) ?? 0),
      pidsLimit: bound('pids', resources.pidsLimit, String) ?? 0,
      ingressBitsPerSecond: bound('ingress-bandwidth', resources.ingressBitsPerSecond, bits),
      egressBitsPerSecond: bound('egress-bandwidth', resources.egressBitsPerSecond, bits),
      gpus: resources.gpus,
    },
    throttled,
  };
}
