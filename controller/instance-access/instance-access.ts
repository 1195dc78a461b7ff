/** Says of each instance which keys open it, and gives it a host key for its whole life. */
import type { Instance } from '../../api/generated/instance.ts';
import type { Member } from '../../api/generated/member.ts';
import { formatKey, keyOf } from '../../api/object.ts';
import type { ObjectKey } from '../../api/object.ts';
import { instances, secrets } from '../../api/resource-type.ts';
import type { Secret } from '../../api/resource-type.ts';
import { isAlreadyExists, isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import type { Informer } from '../../client/informer.ts';
import { WaitingError, settled } from '../../runtime/controller.ts';
import type { Controller, Outcome, ReconcileContext } from '../../runtime/controller.ts';
import { makeSshKeyPair } from '../../runtime/ssh-key-pair.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { authorizedKeys } from './authorized-keys.ts';
import { hostKeyData, hostKeySecret, hostKeySecretName, isHostKeyOf } from './host-key-secret.ts';

export interface InstanceAccessOptions {
  client: Client;
  instances: Informer<Instance>;
  members: Informer<Member>;
}

type SshStatus = NonNullable<NonNullable<Instance['status']>['ssh']>;

export class InstanceAccess implements Controller {
  readonly name = 'instance-access';
  readonly concurrency = 8;
  readonly #options: InstanceAccessOptions;

  constructor(options: InstanceAccessOptions) {
    this.#options = options;
  }

  start(enqueue: (key: string, delayMs?: number) => void): void {
    const { instances: all, members } = this.#options;
    all.onChange((key, instance, previous) => {
      // Most of a status has nothing to do with it.
      const relevant = (one: Instance | undefined): string => JSON.stringify([one?.metadata.uid, one?.spec.ssh, one?.status?.ssh]);
      if (previous === undefined || relevant(instance) !== relevant(previous)) enqueue(key);
    });
    members.onChange((name, member, previous) => {
      const relevant = (one: Member | undefined): string =>
        JSON.stringify([one?.spec.sshKeys, one?.status?.namespace, one?.metadata.deletionTimestamp]);
      if (relevant(member) === relevant(previous)) return;
      for (const instance of all.list()) {
        if (instance.metadata.namespace === name || instance.spec.ssh?.members?.includes(name) === true)
          enqueue(formatKey(keyOf(instance)));
      }
    });
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Outcome> {
    const { client, instances: all, members } = this.#options;
    await Promise.all([all.whenSynced(), members.whenSynced()]);
    const instance = all.get(key);
    if (instance === undefined || instance.metadata.deletionTimestamp !== undefined) return settled;
    const host = await this.#hostKey(instance, signal);
    const mutate = (draft: Instance): false | undefined => {
      if (draft.metadata.uid !== instance.metadata.uid) return false;
      draft.status = { ...draft.status, ssh: { authorizedKeys: authorizedKeys(draft, (name) => members.get(name)), ...host } };
      return undefined;
    };
    try {
      await updateStatus(client, instances, keyOf(instance), mutate, { from: instance, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return settled;
  }

  /** What the status says of it stays: known hosts everywhere go by it. */
  async #hostKey(instance: Instance, signal: AbortSignal): Promise<Pick<SshStatus, 'hostKey' | 'hostKeySecretName'>> {
    const { hostKey, hostKeySecretName: name } = instance.status?.ssh ?? {};
    if (hostKey !== undefined && name !== undefined) return { hostKey, hostKeySecretName: name };
    const { namespace = '', name: instanceName = '' } = instance.metadata;
    const secretKey = { namespace, name: hostKeySecretName(instanceName) };
    const secret = (await this.#find(secretKey, signal)) ?? (await this.#make(instance, secretKey, signal));
    const publicLine = isHostKeyOf(secret, instance) ? hostKeyData(secret).publicLine : undefined;
    if (publicLine === undefined) {
      const why = `the secret ${secretKey.name} is not the host key of ${instanceName}; rename or delete it, and the instance gets one`;
      throw new WaitingError('HostKeyTaken', why);
    }
    return { hostKey: publicLine, hostKeySecretName: secretKey.name };
  }

  async #find(key: ObjectKey, signal: AbortSignal): Promise<Secret | undefined> {
    try {
      return await this.#options.client.get(secrets, key, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Another controller may have been quicker. */
  async #make(instance: Instance, key: ObjectKey, signal: AbortSignal): Promise<Secret> {
    const { client } = this.#options;
    try {
      return await client.create(
        secrets,
        hostKeySecret(instance, makeSshKeyPair(`${key.namespace ?? ''}/${instance.metadata.name ?? ''}`)),
        { signal },
      );
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return client.get(secrets, key, { signal });
    }
  }
}
