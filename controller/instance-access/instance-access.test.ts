import assert from 'node:assert/strict';
import type { Instance } from '../../api/generated/instance.ts';
import type { Member } from '../../api/generated/member.ts';
import { makeSshKeyPair } from '../../runtime/ssh-key-pair.ts';
import { authorizedKeys } from './authorized-keys.ts';
import { hostKeyData, hostKeySecret, isHostKeyOf } from './host-key-secret.ts';

const keys = Array.from({ length: 3 }, () => makeSshKeyPair('').publicLine);
const member = (name: string, sshKeys: string[], change: Partial<Member> = {}): Member => ({
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Member',
  metadata: { name },
  spec: { sshKeys },
  status: { namespace: name },
  ...change,
});
const instance = (namespace: string, members?: string[]): Instance => ({
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Instance',
  metadata: { name: 'box', namespace, uid: 'u' },
  spec: { image: 'i', resources: { requests: { cpu: '1', memory: '1Gi' } }, ...(members === undefined ? {} : { ssh: { members } }) },
});
const look =
  (...all: Member[]) =>
  (name: string): Member | undefined =>
    all.find(({ metadata }) => metadata.name === name);

describe('authorizedKeys()', () => {
  it('are those of the namespace’s member and of who is named, without comments, each once', () => {
    const all = look(
      member('toto', [`${keys[0]} laptop`, keys[0]!, 'ssh-ed25519 nonsense']),
      member('titi', [keys[1]!]),
      member('other', [keys[2]!]),
    );
    assert.deepEqual(authorizedKeys(instance('toto', ['titi', 'nobody', 'toto']), all), [
      { member: 'titi', key: keys[1] },
      { member: 'toto', key: keys[0] },
    ]);
  });

  it('are nobody’s where the namespace is not the member’s of that name, or the member goes', () => {
    const stranger = member('toto', [keys[0]!], { status: {} });
    const leaving = member('toto', [keys[0]!], { metadata: { name: 'toto', deletionTimestamp: '2026-01-01T00:00:00Z' } });
    for (const one of [stranger, leaving]) assert.deepEqual(authorizedKeys(instance('toto'), look(one)), []);
    assert.deepEqual(authorizedKeys(instance('default'), look(member('toto', [keys[0]!]))), []);
  });
});

describe('the secret of a host key', () => {
  it('is believed only where the instance owns it, and is of the type', () => {
    const secret = hostKeySecret(instance('toto'), makeSshKeyPair('x'));
    assert.equal(isHostKeyOf(secret, instance('toto')), true);
    assert.match(hostKeyData(secret).publicLine ?? '', /^ssh-ed25519 /);
    assert.equal(isHostKeyOf({ ...secret, type: 'Opaque' }, instance('toto')), false);
    assert.equal(isHostKeyOf({ ...secret, metadata: { ...secret.metadata, ownerReferences: [] } }, instance('toto')), false);
    assert.equal(
      hostKeyData({ ...secret, data: { publicKey: Buffer.from('ssh-ed25519 A\nevil').toString('base64') } }).publicLine,
      undefined,
    );
  });
});
