/** Holds an instance by its finalizer until its container is gone, and says Pending and Lost. */
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { containerFinalizer } from '../../api/names.ts';
import { formatKey, keyOf } from '../../api/object.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { isConflict, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { recheckAfter, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { judgeInstance } from './judge-instance.ts';
import type { InstanceChange } from './judge-instance.ts';

export interface InstanceLifecycleOptions {
  client: Pick<Client, 'get' | 'patch' | 'replaceStatus'>;
  instances: Informer<Instance>;
  providers: Informer<Provider>;
  boundTo: (providerUid: string) => readonly Instance[];
}

const afterConflictMs = 20;

export class InstanceLifecycle implements Controller {
  readonly name = 'instance-lifecycle';
  readonly concurrency = 16;
  readonly #options: InstanceLifecycleOptions;

  constructor(options: InstanceLifecycleOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    const { instances: all, providers: machines, boundTo } = this.#options;
    all.onChange((key, instance) => {
      if (instance !== undefined) enqueue(key);
    });
    machines.onChange((_, provider, previous) => {
      if (provider !== undefined && readiness(provider) === readiness(previous)) return;
      for (const instance of boundTo((provider ?? previous)?.metadata.uid ?? '')) enqueue(formatKey(keyOf(instance)));
    });
  }

  async reconcile(key: string, { nowMs }: ReconcileContext): Promise<Outcome> {
    const { instances: all, providers: machines } = this.#options;
    await Promise.all([all.whenSynced(), machines.whenSynced()]);
    const instance = all.get(key);
    if (instance === undefined) return settled;
    const assignment = instance.status?.assignment;
    const named = assignment && machines.get(assignment.providerName);
    const provider = named?.metadata.uid === assignment?.providerUID ? named : undefined;
    const change = judgeInstance(instance, provider, nowMs);
    if (change.kind === 'none') return settled;
    if (change.kind === 'wait') return recheckAfter(change.delayMs);
    try {
      await this.#apply(instance, change);
      return settled;
    } catch (error) {
      if (isNotFound(error)) return settled;
      if (isConflict(error)) return recheckAfter(afterConflictMs);
      throw error;
    }
  }

  /** Every write compares the resourceVersion that was judged; its event brings the next pass. */
  async #apply(instance: Instance, change: Exclude<InstanceChange, { kind: 'none' | 'wait' }>): Promise<void> {
    const finalizers = instance.metadata.finalizers ?? [];
    const without = finalizers.filter((finalizer) => finalizer !== containerFinalizer);
    switch (change.kind) {
      case 'status':
        await this.#options.client.replaceStatus(instances, { ...instance, status: change.status });
        return;
      case 'add-finalizer':
        await this.#setFinalizers(instance, [...finalizers, containerFinalizer]);
        return;
      case 'remove-finalizer-if-gone':
        if (!(await this.#isGone(change.providerName, change.providerUid))) return;
        await this.#setFinalizers(instance, without);
        return;
      case 'remove-finalizer':
        await this.#setFinalizers(instance, without);
    }
  }

  async #setFinalizers(instance: Instance, finalizers: string[]): Promise<void> {
    const { resourceVersion } = instance.metadata;
    await this.#options.client.patch(instances, keyOf(instance), { metadata: { resourceVersion, finalizers } });
  }

  /** Asked of the API, since our copy may lag. */
  async #isGone(name: string, uid: string): Promise<boolean> {
    try {
      return (await this.#options.client.get(providers, { name })).metadata.uid !== uid;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }
}

function readiness(provider: Provider | undefined): string | undefined {
  return provider?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
}
