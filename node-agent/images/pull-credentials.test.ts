import assert from 'node:assert/strict';
import { credentialsFor, PullSecretError } from './pull-credentials.ts';
import type { PullSecret } from './pull-credentials.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function configJson(auths: Record<string, unknown>): PullSecret {
  return { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64(JSON.stringify({ auths })) } };
}

/** One registry for each location, whose user is called as the location. */
function users(image: string, locations: readonly string[]): string[] {
  const secret = configJson(Object.fromEntries(locations.map((location) => [location, { username: location, password: 'p' }])));
  return credentialsFor(image, [{ name: 's', secret }]).map(({ username }) => username);
}

describe('credentialsFor()', () => {
  it('reads both forms of secrets, and both forms of credentials', () => {
    const old: PullSecret = {
      type: 'kubernetes.io/dockercfg',
      data: { '.dockercfg': base64(JSON.stringify({ 'a.example': { auth: base64('ann:se:cret') } })) },
    };
    assert.deepEqual(credentialsFor('a.example/x', [{ name: 's', secret: old }]), [{ username: 'ann', password: 'se:cret' }]);
    const both = configJson({ 'a.example': { username: 'bob', password: 'p', auth: base64('ann:q') } });
    assert.deepEqual(credentialsFor('a.example/x', [{ name: 's', secret: both }]), [{ username: 'ann', password: 'q' }]);
  });

  it('matches the host, whatever scheme and version of the protocol the location has', () => {
    assert.deepEqual(users('a.example/x:1', ['a.example', 'b.example']), ['a.example']);
    assert.deepEqual(users('a.example/x', ['https://a.example/v2/']), ['https://a.example/v2/']);
    assert.deepEqual(users('A.example/x', ['a.example']), ['a.example']);
    assert.deepEqual(users('x.a.example/x', ['a.example', 'example']), []);
  });

  it('matches the port exactly', () => {
    assert.deepEqual(users('127.0.0.1:5000/x', ['127.0.0.1', '127.0.0.1:5001', '127.0.0.1:5000']), ['127.0.0.1:5000']);
    assert.deepEqual(users('127.0.0.1/x', ['127.0.0.1:5000']), []);
  });

  it('knows Docker Hub under its names, also where the image names no host', () => {
    for (const location of ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io']) {
      assert.deepEqual(users('debian:12', [location, 'a.example']), [location]);
      assert.deepEqual(users('ann/tool', [location]), [location]);
    }
  });

  it('takes a star for any text within one part of the host', () => {
    assert.deepEqual(users('a.example.org/x', ['*.example.org', '*.org', '*.*.*']), ['*.example.org', '*.*.*']);
    assert.deepEqual(users('eu-docker.pkg.dev/x', ['*-docker.pkg.dev', 'us*.pkg.dev', 'e*d*r.pkg.dev', 'e*docker*docker.pkg.dev']), [
      '*-docker.pkg.dev',
      'e*d*r.pkg.dev',
    ]);
  });

  it('tries the longest path first, and no path that is no prefix', () => {
    const locations = ['a.example', 'a.example/team', 'a.example/team/app', 'a.example/app'];
    assert.deepEqual(users('a.example/team/app/web:1', locations), ['a.example/team/app', 'a.example/team', 'a.example']);
  });

  it('says what is wrong with a secret, and nothing of what is in it', () => {
    const wrong: readonly (readonly [PullSecret, RegExp])[] = [
      [{ type: 'Opaque', data: {} }, /the secret s is of type "Opaque", not kubernetes\.io\/dockerconfigjson or kubernetes\.io\/dockercfg/],
      [{ type: 'kubernetes.io/dockerconfigjson' }, /the secret s has no \.dockerconfigjson/],
      [{ type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64('{"hunter2') } }, /is no JSON$/],
      [{ type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64('["hunter2"]') } }, /is no object$/],
      [{ type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64('{"hunter2":1}') } }, /has no registries$/],
    ];
    for (const [secret, message] of wrong) {
      assert.throws(
        () => credentialsFor('a.example/x', [{ name: 's', secret }]),
        (error: unknown) => error instanceof PullSecretError && message.test(error.message) && !error.message.includes('hunter2'),
      );
    }
  });

  it('passes over registries without credentials', () => {
    const secret = configJson({ 'a.example': {}, 'b.example': { auth: base64('nocolon') }, 'c.example': null });
    for (const image of ['a.example/x', 'b.example/x', 'c.example/x']) assert.deepEqual(credentialsFor(image, [{ name: 's', secret }]), []);
  });
});
