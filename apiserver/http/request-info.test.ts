import assert from 'node:assert/strict';
import fc from 'fast-check';
import { StatusError } from '../registry/status-error.ts';
import { parseRequest } from './request-info.ts';

const parse = (method: string, url: string): object => {
  const [path = '', query = ''] = url.split('?');
  return parseRequest(method, path, new URLSearchParams(query));
};
const potluck = { kind: 'resource', group: 'potluck.dev', version: 'v1alpha1' };
const core = { kind: 'resource', group: '', version: 'v1' };

describe('parseRequest()', () => {
  const cases: [string, string, object][] = [
    ['GET', '/apis/potluck.dev/v1alpha1/instances', { ...potluck, verb: 'list', resource: 'instances' }],
    ['GET', '/apis/potluck.dev/v1alpha1/namespaces/a/instances', { ...potluck, verb: 'list', resource: 'instances', namespace: 'a' }],
    [
      'GET',
      '/apis/potluck.dev/v1alpha1/namespaces/a/instances?watch=True',
      { ...potluck, verb: 'watch', resource: 'instances', namespace: 'a' },
    ],
    [
      'GET',
      '/apis/potluck.dev/v1alpha1/namespaces/a/instances?watch=false',
      { ...potluck, verb: 'list', resource: 'instances', namespace: 'a' },
    ],
    [
      'GET',
      '/apis/potluck.dev/v1alpha1/namespaces/a/instances/i?watch=1',
      { ...potluck, verb: 'get', resource: 'instances', namespace: 'a', name: 'i' },
    ],
    [
      'PATCH',
      '/apis/potluck.dev/v1alpha1/namespaces/a/instances/i/status',
      { ...potluck, verb: 'patch', resource: 'instances', namespace: 'a', name: 'i', subresource: 'status' },
    ],
    ['DELETE', '/apis/potluck.dev/v1alpha1/providers/p', { ...potluck, verb: 'delete', resource: 'providers', name: 'p' }],
    ['DELETE', '/apis/potluck.dev/v1alpha1/providers/', { ...potluck, verb: 'deletecollection', resource: 'providers' }],
    ['GET', '/api/v1/namespaces', { ...core, verb: 'list', resource: 'namespaces' }],
    ['GET', '/api/v1/namespaces/a', { ...core, verb: 'get', resource: 'namespaces', namespace: 'a', name: 'a' }],
    [
      'PUT',
      '/api/v1/namespaces/a/finalize',
      { ...core, verb: 'update', resource: 'namespaces', namespace: 'a', name: 'a', subresource: 'finalize' },
    ],
    ['POST', '/api/v1/namespaces/a/secrets', { ...core, verb: 'create', resource: 'secrets', namespace: 'a' }],
    [
      'GET',
      '/api/v1/secrets?fieldSelector=metadata.name%3Dx',
      { ...core, verb: 'list', resource: 'secrets', name: 'x', selectedFields: new Map([['metadata.name', 'x']]) },
    ],
    [
      'GET',
      '/api/v1/secrets?watch=1&fieldSelector=type%3D%3DOpaque%2Ca.b!%3Dc',
      { ...core, verb: 'watch', resource: 'secrets', selectedFields: new Map([['type', 'Opaque']]) },
    ],
    ['GET', '/api/v1/secrets?fieldSelector=nonsense', { ...core, verb: 'list', resource: 'secrets' }],
    [
      'GET',
      '/api/v1/namespaces/a/secrets/s?fieldSelector=metadata.name%3Dx',
      { ...core, verb: 'get', resource: 'secrets', namespace: 'a', name: 's' },
    ],
    ['GET', '/api', { kind: 'path', verb: 'get', path: '/api' }],
    ['GET', '/apis/potluck.dev/v1alpha1', { kind: 'path', verb: 'get', path: '/apis/potluck.dev/v1alpha1' }],
    ['GET', '/api/v1//secrets', { kind: 'path', verb: 'get', path: '/api/v1//secrets' }],
    ['OPTIONS', '/api/v1/namespaces', { kind: 'path', verb: 'options', path: '/api/v1/namespaces' }],
    ['GET', '/api/v1/namespaces/a/secrets/s/x/y', { kind: 'path', verb: 'get', path: '/api/v1/namespaces/a/secrets/s/x/y' }],
  ];
  for (const [method, url, expected] of cases) {
    it(`reads ${method} ${url}`, () => assert.deepEqual(parse(method, url), expected));
  }

  it('refuses names that would reach into another namespace', () => {
    for (const name of ['..%2Fb', '%2E%2E', '..', 'a%2Fb', 'a%25b', '%zz']) {
      assert.throws(() => parse('GET', `/api/v1/namespaces/a/secrets/${name}`), { code: 400 }, name);
      assert.throws(() => parse('GET', `/api/v1/namespaces/${name}/secrets/x`), { code: 400 }, name);
    }
  });

  it('answers or refuses with 400 whatever comes', () => {
    const methods = fc.constantFrom('GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'BREW');
    fc.assert(
      fc.property(methods, fc.constantFrom('/api', '/apis', ''), fc.array(fc.string()), (method, prefix, segments) => {
        try {
          parse(method, [prefix, ...segments].join('/'));
        } catch (error) {
          assert.ok(error instanceof StatusError && error.code === 400);
        }
      }),
    );
  });
});
