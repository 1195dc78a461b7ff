import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from '../../../api/object.ts';
import { UserError } from '../../../api/errors.ts';
import { parseMirrors } from './mirror-config.ts';
import type { MirrorConfig } from './mirror-config.ts';
import { mirroredObject } from './mirrored-resource.ts';

const head = `
resource: { group: metrics.k8s.io, version: v1beta1, plural: pods, kind: PodMetrics, namespaced: true }
source: { group: example.org, version: v1, plural: things }
`;

function parseOne(text: string): MirrorConfig {
  const [config] = parseMirrors(text, 'mirrors.yaml');
  return config ?? assert.fail('nothing was parsed');
}

function thing(status: unknown): KubernetesObject {
  const metadata = {
    name: 'a',
    namespace: 'ns',
    uid: 'u',
    resourceVersion: '7',
    labels: { app: 'x' },
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return { apiVersion: 'example.org/v1', kind: 'Thing', metadata, status } as KubernetesObject;
}

describe('mirroredObject()', () => {
  const config = parseOne(`${head}object: { window: .status.window, containers: [{ name: main, usage: { cpu: .status.cpu } }] }`);

  it('fills a template from its source, and takes name, namespace, labels and age over', () => {
    assert.deepEqual(mirroredObject(config, thing({ window: '30s', cpu: '5m' })), {
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { name: 'a', namespace: 'ns', creationTimestamp: '2026-01-01T00:00:00Z', labels: { app: 'x' } },
      window: '30s',
      containers: [{ name: 'main', usage: { cpu: '5m' } }],
    });
  });

  it('makes nothing of a source that lacks a part', () => {
    assert.equal(mirroredObject(config, thing({ window: '30s' })), undefined);
    assert.equal(mirroredObject(config, thing(undefined)), undefined);
  });
});

describe('parseMirrors()', () => {
  it('reads what the pool mirrors', async () => {
    const file = join(import.meta.dirname, '../../../manifests/metrics.yaml');
    const mirrors = parseMirrors(await readFile(file, 'utf8'), file);
    assert.deepEqual(
      mirrors.map(({ group, version, resource, kind, source }) => [group, version, resource, kind, source.resource]),
      [
        ['metrics.k8s.io', 'v1beta1', 'nodes', 'NodeMetrics', 'providers'],
        ['metrics.k8s.io', 'v1beta1', 'pods', 'PodMetrics', 'instances'],
      ],
    );
  });

  it('says where it is wrong', () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['[1]', /document 1: it must be an object/],
      ['{', /document 1: /],
      [`${head}object: 1`, /document 1: object: must be an object/],
      [`${head}object: { a: { b: 1 } }`, /object\.a\.b: must be a text/],
      [`${head}object: { a: '.x[' }`, /object\.a: unterminated array/],
      [`${head}object: { metadata: { name: x } }`, /object\.metadata: is made from the source/],
      [`${head}object: {}\nobjekt: {}`, /objekt: is unknown; there are resource, source, object, columns/],
      [`${head.replace('version: v1,', '')}object: {}`, /source\.version: must be a text/],
      [`${head.replace('namespaced: true', 'namespaced: yes please')}object: {}`, /resource\.namespaced: must be true or false/],
      [`${head}object: {}\ncolumns: [{ name: A, path: '.[' }]`, /columns\[0\]\.path: /],
      [`${head}object: ${'{ a: '.repeat(11)}x${' }'.repeat(11)}`, /is deeper than 10 levels/],
    ];
    for (const [text, message] of wrong) {
      assert.throws(
        () => parseMirrors(text, 'mirrors.yaml'),
        (error: unknown) =>
          (error instanceof UserError && error.code === 'PLK006') || (error instanceof UserError && message.test(error.message)),
        text,
      );
    }
  });
});
