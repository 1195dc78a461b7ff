import assert from 'node:assert/strict';
import type { Instance } from '../../api/generated/instance.ts';
import { whyToEnd } from './session-ends.ts';
import { fingerprintOf, parseAccepted } from './sshd-log.ts';

const key = 'ssh-ed25519 AAAA';
const session = { instanceUid: 'u', epoch: 2, containerId: 'c', key };
const instance = (change: (draft: Instance) => void = () => undefined): Instance => {
  const draft: Instance = {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name: 'a', namespace: 'toto', uid: 'u' },
    spec: { image: 'i', resources: { requests: { cpu: '1', memory: '1Gi' } } },
    status: { assignment: { providerName: 'p', providerUID: 'p1', epoch: 2 }, ssh: { authorizedKeys: [{ member: 'toto', key }] } },
  };
  change(draft);
  return draft;
};

describe('whyToEnd()', () => {
  it('lets a session go on while all is as it was', () => {
    assert.equal(whyToEnd(session, instance(), 'p1'), undefined);
  });

  const changes: [string, RegExp, Instance | undefined][] = [
    ['the instance went', /gone/, undefined],
    ['another has its name', /gone/, instance(({ metadata }) => (metadata.uid = 'v'))],
    ['it is placed anew', /moves/, instance(({ status }) => (status!.assignment!.epoch = 3))],
    ['it is another provider’s', /moves/, instance(({ status }) => (status!.assignment!.providerUID = 'p2'))],
    ['it is being deleted', /deleted/, instance(({ metadata }) => (metadata.deletionTimestamp = '2026-01-01T00:00:00Z'))],
    ['it is to stop', /stopped/, instance(({ spec }) => (spec.powerState = 'Stopped'))],
    [
      'the key is taken away',
      /key/,
      instance(({ status }) => (status!.ssh!.authorizedKeys = [{ member: 'toto', key: 'ssh-ed25519 BBBB' }])),
    ],
    ['nobody says whose keys', /key/, instance(({ status }) => delete status!.ssh)],
  ];
  for (const [name, why, now] of changes) it(`ends it when ${name}`, () => assert.match(whyToEnd(session, now, 'p1') ?? '', why));

  it('does not ask for a key of one that nobody got into yet', () => {
    const open = { instanceUid: session.instanceUid, epoch: session.epoch, containerId: session.containerId };
    assert.equal(
      whyToEnd(
        open,
        instance(({ status }) => (status!.ssh!.authorizedKeys = [])),
        'p1',
      ),
      undefined,
    );
  });
});

describe('parseAccepted()', () => {
  it('reads who got in, and takes no other line for it', () => {
    const line = 'Accepted publickey for potluck from UNKNOWN port 65535 ssh2: ED25519 SHA256:k8nwO7VFmj7IOqeYV2+PgyKAq5Get5NAy7VeP0/fn/g';
    assert.deepEqual(parseAccepted(line), { login: 'potluck', fingerprint: 'SHA256:k8nwO7VFmj7IOqeYV2+PgyKAq5Get5NAy7VeP0/fn/g' });
    for (const other of [
      line.replace('publickey', 'password'),
      `x${line}`,
      line.replace('Accepted publickey', 'Accepted key'),
      `${line} x`,
    ])
      assert.equal(parseAccepted(other), undefined, other);
  });

  it('knows fingerprints as ssh-keygen prints them', () => {
    const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPv36BRw/RlxtZH5lmMUnn736/PdBfefTWKjyr2SUjcQ';
    assert.match(fingerprintOf(publicKey), /^SHA256:[A-Za-z0-9+/]{43}$/);
  });
});
