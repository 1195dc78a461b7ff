/** The Secret that has an instance's host key. Pure. */
import type { Instance } from '../../api/generated/instance.ts';
import type { Secret } from '../../api/resource-type.ts';
import { instances } from '../../api/resource-type.ts';
import { hostKeySecretType } from '../../api/names.ts';
import type { SshKeyPair } from '../../runtime/ssh-key-pair.ts';

export function hostKeySecretName(instanceName: string): string {
  return `${instanceName}-ssh-host-key`;
}

/** It goes with the instance, and outlives its containers. */
export function hostKeySecret({ metadata }: Instance, pair: SshKeyPair): Secret {
  const { name = '', namespace = '', uid = '' } = metadata;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: hostKeySecretName(name),
      namespace,
      ownerReferences: [{ apiVersion: `${instances.group}/${instances.version}`, kind: instances.kind, name, uid, controller: true }],
    },
    type: hostKeySecretType,
    data: { key: encode(pair.privatePem), publicKey: encode(pair.publicLine) },
  };
}

/** Whoever may write secrets in the namespace could have put one there before. */
export function isHostKeyOf({ type, metadata }: Secret, instance: Instance): boolean {
  return type === hostKeySecretType && (metadata.ownerReferences ?? []).some(({ uid }) => uid === instance.metadata.uid);
}

export function hostKeyData({ data }: Secret): { publicLine: string | undefined } {
  const text = data?.['publicKey'];
  const publicLine = text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8');
  return { publicLine: publicLine !== undefined && /^ssh-ed25519 [A-Za-z0-9+/]+=*$/.test(publicLine) ? publicLine : undefined };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}
