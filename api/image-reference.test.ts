import assert from 'node:assert/strict';
import { digestOf, parseImageReference, pinnedReference } from './image-reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('parseImageReference()', () => {
  it('fills in what Docker fills in', () => {
    assert.deepEqual(parseImageReference('debian:12'), { registry: 'docker.io', repository: 'library/debian', tag: '12' });
    assert.deepEqual(parseImageReference('ann/tool'), { registry: 'docker.io', repository: 'ann/tool' });
    assert.deepEqual(parseImageReference('index.docker.io/debian'), { registry: 'docker.io', repository: 'library/debian' });
  });

  it('takes a first part with a dot or a port for a host', () => {
    assert.deepEqual(parseImageReference('127.0.0.1:5000/a/b:1'), { registry: '127.0.0.1:5000', repository: 'a/b', tag: '1' });
    assert.deepEqual(parseImageReference('quay.io/centos/centos:stream10'), {
      registry: 'quay.io',
      repository: 'centos/centos',
      tag: 'stream10',
    });
    assert.deepEqual(parseImageReference('localhost/a'), { registry: 'localhost', repository: 'a' });
  });

  it('reads digests beside and instead of tags', () => {
    assert.deepEqual(parseImageReference(`debian:12@${digest}`), {
      registry: 'docker.io',
      repository: 'library/debian',
      tag: '12',
      digest,
    });
    assert.deepEqual(parseImageReference(`127.0.0.1:5000/a@${digest}`), { registry: '127.0.0.1:5000', repository: 'a', digest });
  });
});

it('pinnedReference() names the same image by digest', () => {
  assert.equal(pinnedReference('debian:12', digest), `debian@${digest}`);
  assert.equal(pinnedReference('127.0.0.1:5000/a/b:1', digest), `127.0.0.1:5000/a/b@${digest}`);
  assert.equal(pinnedReference('127.0.0.1:5000/a', digest), `127.0.0.1:5000/a@${digest}`);
  assert.equal(pinnedReference(`debian:12@sha256:b`, digest), `debian@${digest}`);
});

describe('digestOf()', () => {
  it('is that of the same name, whatever the engine calls it', () => {
    assert.equal(digestOf('docker.io/library/debian:12', ['other@sha256:1', `debian@${digest}`]), digest);
    assert.equal(digestOf('127.0.0.1:5000/a:1', [`127.0.0.1:5000/a@${digest}`]), digest);
  });

  it('is not that of another name, and none where none is known', () => {
    assert.equal(digestOf('debian:12', [`127.0.0.1:5000/debian@${digest}`]), undefined);
    assert.equal(digestOf('debian:12', []), undefined);
  });
});
