/** What must change so that a member has what they may have, and what their status should say. Pure. */
import { setCondition } from '../../api/conditions.ts';
import type { Member } from '../../api/generated/member.ts';
import { memberLabel } from '../../api/names.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { clusterRoleBindings, namespaces, resourceQuotas, roleBindings, serviceAccounts } from '../../api/resource-type.ts';
import type { Namespace, ResourceQuota, ResourceType, RoleBinding, ServiceAccount } from '../../api/resource-type.ts';
import { isOwned, namespaceFor, permissionsOf, poolBindingFor, quotaFor, roleBindingFor, serviceAccountFor } from './member-objects.ts';
import type { PoolPermission } from './member-objects.ts';

export type MemberStatus = NonNullable<Member['status']>;

/** What is there under the names of what a member is given, whoever made it. */
export interface MemberWorld {
  namespace?: Namespace | undefined;
  roleBinding?: RoleBinding | undefined;
  quota?: ResourceQuota | undefined;
  serviceAccount?: ServiceAccount | undefined;
  poolBindings: Readonly<Record<PoolPermission, RoleBinding | undefined>>;
}

/** One write. `replace` and `delete` carry the object as it was judged. */
export interface MemberChange {
  kind: 'create' | 'replace' | 'delete';
  type: ResourceType<KubernetesObject>;
  object: KubernetesObject;
}

/** Why a member cannot have what they should have, until somebody does something about it. */
export interface MemberProblem {
  reason: typeof reasons.namespaceTaken | typeof reasons.namespaceTerminating | typeof reasons.quotaRefused;
  message: string;
}

export interface MemberVerdict {
  /** In the order in which they are to be made. */
  changes: readonly MemberChange[];
  problem?: MemberProblem;
  /** Something is on its way out; when it is gone the next pass makes it anew. */
  isWaiting: boolean;
}

export function judgeMember(member: Member, world: MemberWorld): MemberVerdict {
  const pool = (['Lend', 'Admin'] as const).map((permission) =>
    settle<RoleBinding>(clusterRoleBindings, poolBindingFor(member, permission), world.poolBindings[permission], sameBinding),
  );
  const problem = namespaceProblem(member, world.namespace);
  // A namespace that is another's: nothing in it is touched, and nothing more is given. What is no longer permitted is taken all the same.
  if (problem !== undefined) return { changes: pool.flat().filter(({ kind }) => kind === 'delete'), problem, isWaiting: false };
  const changes = [
    ...settle<Namespace>(namespaces, namespaceFor(member), world.namespace, () => true),
    ...settle<RoleBinding>(roleBindings, roleBindingFor(member), world.roleBinding, sameBinding),
    ...settle<ResourceQuota>(resourceQuotas, quotaFor(member), world.quota, sameBounds),
    ...settleAccount(member, world.serviceAccount),
    ...pool.flat(),
  ];
  const parts = [world.roleBinding, world.quota, world.serviceAccount, ...Object.values(world.poolBindings)];
  return { changes, isWaiting: parts.some((part) => part !== undefined && isLeaving(part)) };
}

function namespaceProblem(member: Member, namespace: Namespace | undefined): MemberProblem | undefined {
  if (namespace === undefined) return undefined;
  const { name = '' } = member.metadata;
  if (!isOwned(namespace.metadata, member)) {
    const message = `there is a namespace ${name} already, and it is not this member's; remove it, or make the member under another name`;
    return { reason: reasons.namespaceTaken, message };
  }
  if (!isLeaving(namespace)) return undefined;
  return { reason: reasons.namespaceTerminating, message: `the namespace ${name} is being deleted; when it is gone it is made anew` };
}

/** A ServiceAccount that is not ours may have given tokens to anybody: it goes, and they with it. */
function settleAccount(member: Member, found: ServiceAccount | undefined): MemberChange[] {
  if (found === undefined || isOwned(found.metadata, member)) return settle(serviceAccounts, serviceAccountFor(member), found, () => true);
  return isLeaving(found) ? [] : [{ kind: 'delete', type: serviceAccounts, object: found }];
}

function settle<T extends KubernetesObject>(
  type: ResourceType<T>,
  wanted: T | undefined,
  found: T | undefined,
  isSame: (wanted: T, found: T) => boolean,
): MemberChange[] {
  const change = (kind: MemberChange['kind'], object: T): MemberChange[] => [{ kind, type: type, object }];
  if (found === undefined) return wanted === undefined ? [] : change('create', wanted);
  if (isLeaving(found)) return [];
  if (wanted === undefined || hasOtherRole(wanted, found)) return change('delete', found);
  if (isSame(wanted, found) && sameMarks(wanted, found)) return [];
  const labels = { ...found.metadata.labels, ...wanted.metadata.labels };
  return change('replace', {
    ...found,
    ...wanted,
    metadata: { ...found.metadata, labels, ownerReferences: wanted.metadata.ownerReferences ?? [] },
  });
}

function isLeaving({ metadata }: KubernetesObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** A binding's role cannot be changed. */
function hasOtherRole(wanted: KubernetesObject, found: KubernetesObject): boolean {
  const roleOf = (object: KubernetesObject): string => JSON.stringify((object as Partial<RoleBinding>).roleRef ?? {}, ['kind', 'name']);
  return roleOf(wanted) !== roleOf(found);
}

function sameMarks(wanted: KubernetesObject, found: KubernetesObject): boolean {
  const isLabelled = found.metadata.labels?.[memberLabel] === wanted.metadata.labels?.[memberLabel];
  const owners = (object: KubernetesObject): string => (object.metadata.ownerReferences ?? []).map(({ uid }) => uid).join();
  return isLabelled && owners(wanted) === owners(found);
}

function sameBinding(wanted: RoleBinding, found: RoleBinding): boolean {
  const subjects = ({ subjects: all }: RoleBinding): string =>
    (all ?? []).map(({ kind, namespace = '', name }) => `${kind} ${namespace} ${name}`).join();
  return subjects(wanted) === subjects(found);
}

function sameBounds({ spec: wanted }: ResourceQuota, found: ResourceQuota): boolean {
  const [bounds, present] = [Object.entries(wanted?.hard ?? {}), found.spec?.hard ?? {}];
  const isWhole = Object.keys(found.spec ?? {}).every((field) => field === 'hard');
  return isWhole && bounds.length === Object.keys(present).length && bounds.every(([name, amount]) => present[name] === amount);
}

export interface MemberFacts {
  member: Member;
  problem: MemberProblem | undefined;
  /** Of the keys that can be read, in their order. */
  sshKeys: NonNullable<MemberStatus['sshKeys']>;
  /** Why a key cannot be read: `spec.sshKeys[0]: …`. */
  keyProblems: readonly string[];
  nowMs: number;
}

/** The very object of the member when nothing changes. For a member who has all that they should have, or a problem. */
export function memberStatus({ member, problem, sshKeys, keyProblems, nowMs }: MemberFacts): MemberStatus {
  const { status: before = {}, metadata } = member;
  const { name = '', generation = 0 } = metadata;
  const ready =
    problem === undefined
      ? ({ status: 'True', reason: reasons.provisioned, message: sayPermissions(member) } as const)
      : ({ status: 'False', ...problem } as const);
  const valid =
    keyProblems.length === 0
      ? ({ status: 'True', reason: reasons.keysRead, message: 'every SSH key can be read' } as const)
      : ({ status: 'False', reason: reasons.invalidSshKey, message: keyProblems.join('; ') } as const);
  const withReady = setCondition(before.conditions, { type: conditionTypes.ready, ...ready, observedGeneration: generation }, nowMs);
  const conditions = setCondition(withReady, { type: conditionTypes.sshKeysValid, ...valid, observedGeneration: generation }, nowMs);
  const namespace = problem === undefined ? name : undefined;
  const isSame =
    before.observedGeneration === generation &&
    before.namespace === namespace &&
    before.conditions === conditions &&
    JSON.stringify(before.sshKeys ?? []) === JSON.stringify(sshKeys);
  if (isSame) return before;
  return { observedGeneration: generation, sshKeys, conditions, ...(namespace === undefined ? {} : { namespace }) };
}

const deeds = { Use: 'use the pool', Lend: 'lend machines', Admin: 'administer the pool' } as const;

function sayPermissions(member: Member): string {
  const may = (['Use', 'Lend', 'Admin'] as const).filter((permission) => permissionsOf(member).includes(permission));
  return may.length === 0 ? 'may look only' : `may ${may.map((permission) => deeds[permission]).join(', ')}`;
}
