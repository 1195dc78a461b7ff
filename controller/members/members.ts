/** Gives each member their namespace, their rights in it and in the pool, their quota and their account, and takes what they no longer may. */
import { createHash } from 'node:crypto';
import { findCondition } from '../../api/conditions.ts';
import type { Member } from '../../api/generated/member.ts';
import { memberLabel, memberNamespace } from '../../api/names.ts';
import { formatKey, keyOf } from '../../api/object.ts';
import type { KubernetesObject } from '../../api/object.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { clusterRoleBindings, members, resourceQuotas, serviceAccounts } from '../../api/resource-type.ts';
import type { Namespace, ResourceQuota, RoleBinding, ServiceAccount } from '../../api/resource-type.ts';
import { ApiError, isAlreadyExists, isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { judgeMember, memberStatus } from './judge-member.ts';
import type { MemberChange, MemberProblem, MemberWorld } from './judge-member.ts';
import { memberBindingName, memberOfPoolBinding, memberQuotaName, poolBindingName } from './member-objects.ts';
import { describeSshKeys } from './ssh-keys.ts';

export interface MembersOptions {
  client: Pick<Client, 'get' | 'create' | 'replace' | 'replaceStatus' | 'delete'>;
  members: Informer<Member>;
  namespaces: Informer<Namespace>;
  roleBindings: Informer<RoleBinding>;
  quotas: Informer<ResourceQuota>;
  /** Those of the members' namespace. */
  serviceAccounts: Informer<ServiceAccount>;
  clusterRoleBindings: Informer<RoleBinding>;
  record: (about: Member, event: { type: 'Normal' | 'Warning'; reason: string; message: string }) => void;
}

/** Our copies have seen our own writes by then, mostly; their events bring the next pass sooner. */
const afterChangeMs = 500;
const afterConflictMs = 50;

export class Members implements Controller {
  readonly name = 'members';
  readonly concurrency = 4;
  readonly #options: MembersOptions;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    const { members: people, namespaces, roleBindings, quotas, serviceAccounts: accounts, clusterRoleBindings: pool } = this.#options;
    people.onChange((name) => enqueue(name));
    namespaces.onChange((name) => enqueue(name));
    accounts.onChange((_, account, previous) => enqueue((account ?? previous)?.metadata.name ?? ''));
    const inNamespace =
      (wanted: string) =>
      (_: string, object: KubernetesObject | undefined, previous: KubernetesObject | undefined): void => {
        const { name, namespace = '' } = (object ?? previous)?.metadata ?? {};
        if (name === wanted) enqueue(namespace);
      };
    roleBindings.onChange(inNamespace(memberBindingName));
    quotas.onChange((key, quota, previous) => {
      // Its status changes with everything that the member does.
      if (
        JSON.stringify([quota?.spec, quota?.metadata.ownerReferences]) ===
        JSON.stringify([previous?.spec, previous?.metadata.ownerReferences])
      )
        return;
      inNamespace(memberQuotaName)(key, quota, previous);
    });
    pool.onChange((name) => {
      const member = memberOfPoolBinding(name);
      if (member !== undefined) enqueue(member);
    });
  }

  async reconcile(name: string, { signal, nowMs }: ReconcileContext): Promise<Outcome> {
    const { members: people, namespaces, roleBindings, quotas, serviceAccounts: accounts, clusterRoleBindings: pool } = this.#options;
    await Promise.all([people, namespaces, roleBindings, quotas, accounts, pool].map((informer) => informer.whenSynced()));
    const member = people.get(name);
    if (member === undefined) return this.#endAccess(name, signal);
    // What it owns goes by garbage collection.
    if (member.metadata.deletionTimestamp !== undefined) return settled;
    const { changes, problem, isWaiting } = judgeMember(member, this.#worldOf(name));
    try {
      const refusal = await this.#make(changes, signal);
      const trouble = problem ?? refusal;
      if (trouble === undefined && isWaiting) return settled;
      if (trouble === undefined && changes.length > 0) return recheckAfter(afterChangeMs);
      await this.#tell(member, trouble, nowMs);
      return settled;
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error) || isNotFound(error)) return recheckAfter(afterConflictMs);
      throw error;
    }
  }

  #worldOf(name: string): MemberWorld {
    const { namespaces, roleBindings, quotas, serviceAccounts: accounts, clusterRoleBindings: pool } = this.#options;
    return {
      namespace: namespaces.get(name),
      roleBinding: roleBindings.get(formatKey({ namespace: name, name: memberBindingName })),
      quota: quotas.get(formatKey({ namespace: name, name: memberQuotaName })),
      serviceAccount: accounts.get(formatKey({ namespace: memberNamespace, name })),
      poolBindings: { Lend: pool.get(poolBindingName(name, 'Lend')), Admin: pool.get(poolBindingName(name, 'Admin')) },
    };
  }

  /** Answers what the API has against the quota, if anything; other failures throw. */
  async #make(changes: readonly MemberChange[], signal: AbortSignal): Promise<MemberProblem | undefined> {
    let problem: MemberProblem | undefined;
    for (const change of changes) {
      try {
        await this.#makeOne(change, signal);
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 422 && change.type.plural === resourceQuotas.plural)) throw error;
        problem = { reason: reasons.quotaRefused, message: `spec.quota: ${error.message}` };
      }
    }
    return problem;
  }

  async #makeOne({ kind, type, object }: MemberChange, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    switch (kind) {
      case 'create':
        await client.create(type, object, { signal });
        return;
      case 'replace':
        await client.replace(type, object, { signal });
        return;
      case 'delete':
        await this.#delete({ kind, type, object }, signal);
    }
  }

  async #delete({ type, object }: MemberChange, signal: AbortSignal): Promise<void> {
    const { uid } = object.metadata;
    await this.#options.client.delete(type, keyOf(object), { signal, ...(uid === undefined ? {} : { preconditions: { uid } }) });
  }

  async #tell(member: Member, problem: MemberProblem | undefined, nowMs: number): Promise<void> {
    const keys = describeSshKeys(member, (bytes) => createHash('sha256').update(bytes).digest('base64'));
    const status = memberStatus({ member, problem, ...keys, nowMs });
    if (status === member.status) return;
    const written = await this.#options.client.replaceStatus(members, { ...member, status });
    const [before, now] = [member, { status }].map((one) => findCondition(one.status?.conditions, conditionTypes.ready));
    if (now === undefined || before?.reason === now.reason) return;
    this.#options.record(written, { type: now.status === 'True' ? 'Normal' : 'Warning', reason: now.reason, message: now.message });
  }

  /** Of a member who is gone, where garbage collection was told to leave behind what they owned. */
  async #endAccess(name: string, signal: AbortSignal): Promise<Outcome> {
    const { serviceAccount, poolBindings } = this.#worldOf(name);
    const left: MemberChange[] = [
      ...(serviceAccount === undefined ? [] : [{ kind: 'delete', type: serviceAccounts, object: serviceAccount } as const]),
      ...Object.values(poolBindings).flatMap((object) =>
        object === undefined ? [] : [{ kind: 'delete', type: clusterRoleBindings, object } as const],
      ),
    ].filter(({ object: { metadata } }) => metadata.labels?.[memberLabel] === name && (metadata.ownerReferences ?? []).length === 0);
    if (left.length === 0 || !(await this.#isGone(name))) return settled;
    for (const change of left) {
      await this.#delete(change, signal).catch((error: unknown) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
    }
    return settled;
  }

  /** Asked of the API, since our copy may lag. */
  async #isGone(name: string): Promise<boolean> {
    try {
      await this.#options.client.get(members, { name });
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }
}
