import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from '../../../api/object.ts';
import { UserError } from '../../../api/errors.ts';
import type { JsonObject } from '../../admission/json-value.ts';
import { parseMirrors } from './mirror-config.ts';
import type { MirrorConfig } from './mirror-config.ts';
import { mirroredObject } from './mirrored-resource.ts';

const manifest = join(import.meta.dirname, '../../../manifests/mirrors.yaml');

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

describe('a mirror that leaves out what its source lacks', () => {
  const [pods, nodes] = parseMirrors(readFileSync(manifest, 'utf8'), manifest);

  function instance(fields: object): KubernetesObject {
    return { ...thing(undefined), ...fields };
  }

  it('shows a running instance as a pod with one container', () => {
    const conditions = [
      { type: 'Scheduled', status: 'True', reason: 'Placed', message: 'on a', lastTransitionTime: 't', observedGeneration: 3 },
      { type: 'Ready', status: 'True', reason: 'Running', message: '', lastTransitionTime: 't' },
    ];
    const pod = mirroredObject(
      pods!,
      instance({
        spec: { image: 'debian:12', resources: { requests: { cpu: 1, memory: '1Gi' } }, isolation: 'Sandboxed' },
        status: {
          phase: 'Running',
          assignment: { providerName: 'desktop', providerUID: 'p', epoch: 1 },
          hostname: 'ns-desktop-0',
          containerID: 'docker://1',
          state: { running: { startedAt: 'then' } },
          conditions,
        },
      }),
    );
    assert.deepEqual(pod, {
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: {
        name: 'a',
        namespace: 'ns',
        uid: 'u',
        resourceVersion: '7',
        creationTimestamp: '2026-01-01T00:00:00Z',
        labels: { app: 'x' },
      },
      spec: {
        nodeName: 'desktop',
        hostname: 'ns-desktop-0',
        restartPolicy: 'Always',
        runtimeClassName: 'gvisor',
        containers: [{ name: 'instance', image: 'debian:12', resources: { requests: { cpu: 1, memory: '1Gi' }, limits: {} } }],
      },
      status: {
        phase: 'Running',
        startTime: 'then',
        conditions: [
          { type: 'PodScheduled', status: 'True', lastTransitionTime: 't', reason: 'Placed', message: 'on a' },
          { type: 'Ready', status: 'True', lastTransitionTime: 't', reason: 'Running', message: '' },
        ],
        containerStatuses: [
          {
            name: 'instance',
            containerID: 'docker://1',
            image: 'debian:12',
            imageID: '',
            ready: true,
            started: true,
            restartCount: 0,
            state: { running: { startedAt: 'then' } },
          },
        ],
      },
    });
  });

  const stateOf = (status: object): unknown => (mirroredObject(pods!, instance({ spec: {}, status }))?.['status'] as JsonObject)['phase'];

  it('knows a pod’s word for every phase', () => {
    const phases = ['Pending', 'Assigned', 'Running', 'Stopped', 'Succeeded', 'Failed', 'Lost'].map((phase) => stateOf({ phase }));
    assert.deepEqual(phases, ['Pending', 'Pending', 'Running', 'Pending', 'Succeeded', 'Failed', 'Unknown']);
    assert.equal(stateOf({}), 'Pending');
  });

  it('shows a provider that its owner took away as a node on which nothing is scheduled', () => {
    const node = mirroredObject(nodes!, instance({ spec: { available: false }, status: { capacity: { cpu: '2', disk: '1Gi' } } }));
    assert.equal((node?.['spec'] as JsonObject)['unschedulable'], true);
    assert.deepEqual((node?.['status'] as JsonObject)['capacity'], { cpu: '2', 'ephemeral-storage': '1Gi' });
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
      [`${head}object: { a: { b: null } }`, /object\.a\.b: must be a value, or a path/],
      [`${head}object: { a: { $match: b, $to: {} } }`, /object\.a\.\$match: must be a path/],
      [`${head}object: { a: { $match: .b } }`, /object\.a\.\$to: must be an object/],
      [`${head}object: { a: { $first: .b } }`, /object\.a\.\$first: must be a list/],
      [`${head}object: { a: { $each: .b, $make: c, d: e } }`, /object\.a\.d: does not go with a choice/],
      [`${head}missing: Maybe\nobject: {}`, /missing: must be one of Hide, Omit/],
      [`${head}selectableFields: ['.a[0]']\nobject: {}`, /selectableFields\[0\]: must be a path of names/],
      [`${head}subresources: [{ name: x, kind: X, verbs: [delete], backend: b }]\nobject: {}`, /verbs: must be of get and create/],
      [`${head}object: { a: '.x[' }`, /object\.a: unterminated array/],
      [`${head}object: { metadata: { name: x } }`, /object\.metadata: is made from the source/],
      [`${head}object: {}\nobjekt: {}`, /objekt: is unknown; there are resource, source, watch, missing, object, columns/],
      [`${head.replace('version: v1,', '')}object: {}`, /source\.version: must be a text/],
      [`${head.replace('namespaced: true', 'namespaced: yes please')}object: {}`, /resource\.namespaced: must be true or false/],
      [`${head}object: {}\ncolumns: [{ name: A, path: '.[' }]`, /columns\[0\]\.path: /],
      [`${head}object: ${'{ a: '.repeat(17)}x${' }'.repeat(17)}`, /is deeper than 16 levels/],
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
