/** The built-in types, and how CustomResourceDefinitions come, change and go, against a real etcd. */
import assert from 'node:assert/strict';
import type { KubernetesObject } from '../../api/object.ts';
import type { Catalogue } from '../../apiserver/registry/catalogue.ts';
import { conditionOf, type CustomResourceDefinition } from '../../apiserver/registry/definition.ts';
import type { ResourceOperations } from '../../apiserver/registry/resource.ts';
import { StatusError } from '../../apiserver/registry/status-error.ts';
import { createEtcdStore } from '../../apiserver/store/etcd-store.ts';
import type { Store } from '../../apiserver/store/store.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import {
  contentOf,
  definitionsOf,
  install,
  machine,
  machinesDefinition,
  operationsOf,
  RecordedWatch,
  refusal,
  startCatalogue,
  writeOptions as write,
  type TestDefinition,
} from '../support/registry.ts';

type Content = KubernetesObject & Record<string, unknown>;

describe('the registry, types', () => {
  let etcd: TestEtcd;
  let store: Store;
  let catalogue: Catalogue;

  before(async () => {
    etcd = await startEtcd({ unsafeNoFsync: true });
    store = createEtcdStore({ endpoints: [etcd.endpoint] });
    catalogue = await startCatalogue(store);
  });

  after(async () => {
    await catalogue.close();
    await store.close();
    await etcd.stop();
  });

  const core = (resource: string): ResourceOperations => operationsOf(catalogue, '', 'v1', resource);
  const create = async (resource: string, object: object, namespace: string | undefined = 'default'): Promise<Content> =>
    contentOf(await core(resource).create(namespace, object, write())) as Content;
  const key = (name: string): { namespace: string; name: string } => ({ namespace: 'default', name });

  describe('namespaces', () => {
    const namespaces = (): ResourceOperations => core('namespaces');
    const make = (name: string): Promise<Content> => create('namespaces', { metadata: { name } }, undefined);

    it('of the system are there from the start, and cannot be deleted', async () => {
      const listed = await namespaces().list({});
      const names = listed.items.map(({ object }) => object.metadata.name);
      assert.deepEqual(names, [
        'default',
        'kube-system',
        'potluck-gateway-leases',
        'potluck-members',
        'potluck-provider-leases',
        'potluck-system',
      ]);
      const status = await refusal(namespaces().delete({ name: 'default' }, write()));
      assert.deepEqual([status.code, status.message], [403, 'namespaces "default" is forbidden: this namespace may not be deleted']);
    });

    it('are Active, with the finalizer of their contents and a label of their name', async () => {
      const { spec, status, metadata, kind, apiVersion } = await make('fresh');
      assert.deepEqual(
        { spec, status, kind, apiVersion },
        { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' }, kind: 'Namespace', apiVersion: 'v1' },
      );
      assert.deepEqual([metadata.labels, metadata.generation], [{ 'kubernetes.io/metadata.name': 'fresh' }, undefined]);
    });

    it('terminate, take nothing new, and go when they are finalized', async () => {
      const made = await make('leaving');
      const result = await namespaces().delete({ name: 'leaving' }, write());
      assert.ok(!result.gone);
      const terminating = contentOf(result.stored) as Content;
      assert.deepEqual([terminating['status'], terminating.metadata.deletionGracePeriodSeconds], [{ phase: 'Terminating' }, undefined]);
      const status = await refusal(core('configmaps').create('leaving', { metadata: { name: 'c4' } }, write()));
      assert.deepEqual(status, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: 'configmaps "c4" is forbidden: unable to create new content in namespace leaving because it is being terminated',
        reason: 'Forbidden',
        details: {
          name: 'c4',
          kind: 'configmaps',
          causes: [{ reason: 'NamespaceTerminating', message: 'namespace leaving is being terminated', field: 'metadata.namespace' }],
        },
        code: 403,
      });
      const emptied = { ...terminating, spec: { finalizers: [] } };
      const plain = await namespaces().update({ name: 'leaving' }, emptied, write());
      assert.deepEqual((contentOf(plain.stored) as Content)['spec'], made['spec'], 'only /finalize changes the finalizers');
      await namespaces().update({ name: 'leaving' }, emptied, write(), 'finalize');
      assert.equal((await refusal(namespaces().get({ name: 'leaving' }))).code, 404);
    });

    it('have names of at most 63 characters, without dots', async () => {
      for (const name of ['a.b', 'x'.repeat(64)]) {
        assert.equal((await refusal(namespaces().create(undefined, { metadata: { name } }, write()))).code, 422);
      }
    });
  });

  describe('secrets and config maps', () => {
    it('fold stringData into data and get a type', async () => {
      const { data, stringData, type } = await create('secrets', { metadata: { name: 's1' }, data: { a: 'YQ==' }, stringData: { b: 'b' } });
      assert.deepEqual([data, stringData, type], [{ a: 'YQ==', b: 'Yg==' }, undefined, 'Opaque']);
    });

    it('take strategic merge patches', async () => {
      await create('configmaps', { metadata: { name: 'cm1', finalizers: ['a.b/c'] }, data: { a: '1', b: '2' } });
      const body = { data: { a: null, z: '9' }, metadata: { finalizers: ['a.b/d'] } };
      const { stored } = await core('configmaps').patch(key('cm1'), { type: 'strategic', body }, write());
      const { data, metadata } = contentOf(stored) as Content;
      assert.deepEqual([data, metadata.finalizers], [{ b: '2', z: '9' }, ['a.b/c', 'a.b/d']]);
    });

    it('can be replaced without a resourceVersion', async () => {
      await create('configmaps', { metadata: { name: 'cm2' }, data: { a: '1' } });
      const { stored } = await core('configmaps').update(key('cm2'), { metadata: { name: 'cm2' }, data: { b: '2' } }, write());
      assert.deepEqual((contentOf(stored) as Content)['data'], { b: '2' });
    });

    it('that are immutable keep their data', async () => {
      await create('secrets', { metadata: { name: 'fixed' }, data: { a: 'YQ==' }, immutable: true });
      for (const body of [{ data: { a: 'Yg==' } }, { immutable: false }, { immutable: null }]) {
        const status = await refusal(core('secrets').patch(key('fixed'), { type: 'merge', body }, write()));
        assert.equal(status.code, 422);
        assert.match(status.message ?? '', /Forbidden: field is immutable when `immutable` is set/);
      }
      const labelled = await core('secrets').patch(key('fixed'), { type: 'merge', body: { metadata: { labels: { a: 'b' } } } }, write());
      assert.deepEqual(labelled.stored.object.metadata.labels, { a: 'b' });
    });

    const mebibyte = 'x'.repeat(1024 * 1024 + 1);
    const refused: readonly [resource: string, body: object, code: number, message: RegExp][] = [
      [
        'configmaps',
        { data: { 'a/b': 'x' } },
        422,
        /^ConfigMap "bad" is invalid: data\[a\/b\]: Invalid value: "a\/b": a valid config key must consist of alphanumeric characters/,
      ],
      ['configmaps', { data: { a: 1 } }, 422, /data\.a: Invalid value: "(integer|number)"/],
      ['configmaps', { data: { a: mebibyte } }, 422, /Too long: may not be more than 1048576 bytes/],
      ['configmaps', { data: { a: 'x' }, binaryData: { a: 'eA==' } }, 422, /duplicate of key present in binaryData/],
      ['secrets', { data: { a: '!' } }, 400, /illegal base64 data/],
      ['secrets', { stringData: { a: mebibyte } }, 422, /^Secret "bad" is invalid: data: Too long/],
      ['secrets', { type: 'kubernetes.io/tls', data: { 'tls.crt': 'eA==' } }, 422, /data\[tls\.key\]: Required value/],
      ['secrets', { kind: 'ConfigMap', apiVersion: 'v1' }, 400, /cannot be handled as a Secret/],
    ];
    for (const [resource, body, code, message] of refused) {
      it(`${resource} are refused with ${code} for ${JSON.stringify(body).slice(0, 60)}`, async () => {
        const status = await refusal(core(resource).create('default', { metadata: { name: 'bad' }, ...body }, write()));
        assert.equal(status.code, code);
        assert.match((status.message ?? '').slice(0, 400), message);
      });
    }

    it('are selected by type', async () => {
      const listed = await core('secrets').list({ fieldSelector: 'type=Opaque', namespace: 'default' });
      assert.ok(listed.items.length > 0);
      assert.equal((await core('secrets').list({ fieldSelector: 'type=other', namespace: 'default' })).items.length, 0);
    });
  });

  describe('events', () => {
    const event = {
      metadata: { name: 'ev1' },
      involvedObject: { kind: 'Instance', namespace: 'default', name: 'i1', apiVersion: 'x/v1', uid: 'u' },
      reason: 'R',
      message: 'm',
      type: 'Normal',
      source: { component: 'c' },
      firstTimestamp: null,
    };

    it('of both groups are the same objects', async () => {
      await create('events', event);
      const newer = operationsOf(catalogue, 'events.k8s.io', 'v1', 'events');
      const shown = contentOf(await newer.get(key('ev1'))) as Content;
      assert.deepEqual(
        [shown.apiVersion, shown['regarding'], shown['note'], shown['deprecatedSource'], shown['involvedObject']],
        ['events.k8s.io/v1', event.involvedObject, 'm', { component: 'c' }, undefined],
      );
      const made = { ...shown, metadata: { name: 'ev2' }, note: 'from the new group' };
      await newer.create('default', made, write());
      const old = contentOf(await core('events').get(key('ev2'))) as Content;
      assert.deepEqual([old.apiVersion, old['message'], old['note']], ['v1', 'from the new group', undefined]);
    });

    it('are selected by what they are about', async () => {
      const fieldSelector = 'involvedObject.kind=Instance,involvedObject.name=i1,involvedObject.uid=u';
      const listed = await core('events').list({ namespace: 'default', fieldSelector });
      assert.deepEqual(
        listed.items.map(({ object }) => object.metadata.name),
        ['ev1', 'ev2'],
      );
      const newer = operationsOf(catalogue, 'events.k8s.io', 'v1', 'events');
      assert.equal((await newer.list({ namespace: 'default', fieldSelector: 'regarding.name=i1' })).items.length, 2);
    });

    it('stand in the namespace of what they are about', async () => {
      const wrong = { ...event, metadata: { name: 'ev3' }, involvedObject: { ...event.involvedObject, namespace: 'other' } };
      const status = await refusal(core('events').create('default', wrong, write()));
      assert.match(status.message ?? '', /involvedObject\.namespace: Invalid value: "other": does not match event\.namespace/);
    });
  });

  describe('leases', () => {
    const leases = (): ResourceOperations => operationsOf(catalogue, 'coordination.k8s.io', 'v1', 'leases');

    it('are taken by compare-and-set only, and made by a PUT', async () => {
      const body = { metadata: { name: 'l1' }, spec: { holderIdentity: 'a', renewTime: '2026-01-01T00:00:00.000000Z' } };
      const made = await leases().update(key('l1'), body, write());
      assert.ok(made.created);
      assert.equal((await refusal(leases().update(key('l1'), body, write()))).code, 422);
      const { entry } = await store.get('/registry/leases/default/l1');
      assert.ok(entry, 'it lies where Kubernetes has it');
    });

    it('last longer than nothing', async () => {
      const body = { metadata: { name: 'l2' }, spec: { leaseDurationSeconds: 0 } };
      const status = await refusal(leases().create('default', body, write()));
      assert.match(status.message ?? '', /spec\.leaseDurationSeconds: Invalid value: 0: must be greater than 0/);
    });
  });

  describe('definitions', () => {
    const definitions = (): ResourceOperations => definitionsOf(catalogue);
    const read = async (name: string): Promise<CustomResourceDefinition> =>
      contentOf(await definitions().get({ name })) as CustomResourceDefinition;

    it('make their resource appear within milliseconds, with its names and verbs', async () => {
      const before = catalogue.generation;
      const machines = await install(catalogue, machinesDefinition());
      const { singular, listKind, shortNames, categories, verbs, patchTypes, storageVersionHash } = machines.definition;
      assert.deepEqual([singular, listKind, shortNames, categories], ['machine', 'MachineList', ['mach'], ['all']]);
      assert.deepEqual([verbs.length, patchTypes], [8, ['json', 'merge']]);
      assert.match(storageVersionHash, /^[A-Za-z0-9+/]{11}=$/);
      assert.ok(catalogue.generation > before);
      const { status } = await read('machines.compute.example.com');
      assert.deepEqual(
        status?.conditions?.map(({ type, status: value, reason }) => [type, value, reason]),
        [
          ['NamesAccepted', 'True', 'NoConflicts'],
          ['Established', 'True', 'InitialNamesAccepted'],
        ],
      );
      assert.deepEqual(status.storedVersions, ['v1']);
    });

    it('are served by every API server on the same store', async () => {
      const other = await startCatalogue(store);
      await install(catalogue, simpleDefinition('shared'));
      const theirs = await eventually(() => operationsOf(other, 'g2.example.com', 'v1', 'shareds'), {
        timeoutMs: 5_000,
        what: 'the other server',
      });
      await theirs.create('default', simple('shared', 'a'), write());
      assert.equal((await operationsOf(catalogue, 'g2.example.com', 'v1', 'shareds').list({})).items.length, 1);
      await other.close();
    });

    it('are there again after a restart, with their objects', async () => {
      const other = await startCatalogue(store);
      assert.equal((await operationsOf(other, 'g2.example.com', 'v1', 'shareds').list({})).items.length, 1);
      await other.close();
    });

    it('that name what another one has are accepted but not served', async () => {
      const rival = simpleDefinition('rival');
      const taken = { ...rival, spec: { ...rival.spec, names: { plural: 'rivals', kind: 'Shared' } } };
      await definitions().create(undefined, taken, write());
      const status = await eventually(
        async () => {
          const definition = await read('rivals.g2.example.com');
          assert.equal(conditionOf(definition, 'NamesAccepted')?.status, 'False');
          return definition;
        },
        { timeoutMs: 3_000, what: 'the verdict' },
      );
      assert.equal(conditionOf(status, 'NamesAccepted')?.reason, 'ListKindConflict');
      assert.equal(catalogue.find('g2.example.com', 'v1', 'rivals'), undefined);
    });

    it('serve several versions of the same objects; the stored versions grow and hold', async () => {
      const first = simpleDefinition('multi');
      const definition: TestDefinition = {
        ...first,
        spec: {
          ...first.spec,
          versions: [...first.spec.versions, { ...version('v2', { y: { type: 'string', default: 'dy' } }), storage: false }],
        },
      };
      const v1 = await install(catalogue, definition);
      await v1.create('default', simple('multi', 'a'), write());
      const v2 = operationsOf(catalogue, 'g2.example.com', 'v2', 'multis');
      const shown = contentOf(await v2.get(key('a'))) as Content;
      assert.deepEqual([shown.apiVersion, shown['spec']], ['g2.example.com/v2', { x: '1' }]);
      const order = catalogue.all().flatMap(({ definition: each }) => (each.resource === 'multis' ? [each.version] : []));
      assert.deepEqual(order, ['v2', 'v1']);
      const current = await read('multis.g2.example.com');
      const versions = current.spec.versions.map((each) => ({ ...each, storage: each.name === 'v2' }));
      await definitions().update({ name: 'multis.g2.example.com' }, { ...current, spec: { ...current.spec, versions } }, write());
      const switched = await read('multis.g2.example.com');
      assert.deepEqual([switched.status?.storedVersions, switched.metadata.generation], [['v1', 'v2'], 2]);
      const fewer = { ...switched, spec: { ...switched.spec, versions: versions.filter(({ name }) => name === 'v2') } };
      const status = await refusal(definitions().update({ name: 'multis.g2.example.com' }, fewer, write()));
      assert.match(status.message ?? '', /status\.storedVersions\[0\]: Invalid value: "v1": missing from spec\.versions/);
      // The write that changes nothing migrates the object.
      await eventually(
        async () => {
          await operationsOf(catalogue, 'g2.example.com', 'v2', 'multis').patch(key('a'), { type: 'merge', body: {} }, write());
          const { entry } = await store.get('/registry/g2.example.com/multis/default/a');
          assert.match(Buffer.from(entry?.value ?? []).toString(), /^\{"apiVersion":"g2\.example\.com\/v2"/);
        },
        { timeoutMs: 3_000, what: 'the migrated object' },
      );
    });

    it('that change their schema count at once, also for objects that are there', async () => {
      const things = await install(catalogue, simpleDefinition('thing'));
      await things.create('default', simple('thing', 'a'), write());
      const current = await read('things.g2.example.com');
      const versions = [version('v1', { x: { type: 'string' }, z: { type: 'string', default: 'later' } })];
      await definitions().update({ name: 'things.g2.example.com' }, { ...current, spec: { ...current.spec, versions } }, write());
      await eventually(
        async () => {
          const [shown] = (await operationsOf(catalogue, 'g2.example.com', 'v1', 'things').list({})).items;
          assert.ok(shown);
          assert.deepEqual((contentOf(shown) as Content)['spec'], { x: '1', z: 'later' });
        },
        { timeoutMs: 3_000, what: 'the new default' },
      );
    });

    for (const [claim, change, message] of [
      [
        'without type',
        { versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: {} } }] },
        /openAPIV3Schema\.type: Required value/,
      ],
      [
        'without a stored version',
        { versions: [{ ...version('v1', {}), storage: false }] },
        /spec\.versions: Invalid value: .*must have exactly one version marked as storage version/,
      ],
      ['with another group than its name', { group: 'other.example.com' }, /must be spec\.names\.plural\+"\."\+spec\.group/],
    ] as const) {
      it(`${claim} are refused`, async () => {
        const definition = simpleDefinition('wrong');
        const status = await refusal(definitions().create(undefined, { ...definition, spec: { ...definition.spec, ...change } }, write()));
        assert.equal(status.code, 422);
        assert.match(status.message ?? '', message);
      });
    }

    it('that are deleted refuse new objects, wait for the finalizers of theirs, then are gone, and their watches end', async () => {
      const name = 'goings.g2.example.com';
      const goings = await install(catalogue, simpleDefinition('going'));
      await goings.create('default', simple('going', 'plain'), write());
      await goings.create('default', { ...simple('going', 'held'), metadata: { name: 'held', finalizers: ['a.b/c'] } }, write());
      const watcher = await RecordedWatch.open(goings);
      const result = await definitions().delete({ name }, write());
      assert.ok(!result.gone);
      const marked = contentOf(result.stored) as CustomResourceDefinition;
      assert.deepEqual([marked.metadata.finalizers, marked.metadata.generation], [['customresourcecleanup.apiextensions.k8s.io'], 1]);
      await eventually(async () => assert.equal((await refusal(goings.get(key('plain')))).code, 404), {
        timeoutMs: 5_000,
        what: 'the object to go',
      });
      const status = await refusal(goings.create('default', simple('going', 'x'), write()));
      assert.deepEqual(
        [status.code, status.message],
        [403, 'goings.g2.example.com "x" is forbidden: create not allowed while custom resource definition is terminating'],
      );
      assert.equal(conditionOf(await read(name), 'Terminating')?.reason, 'InstanceDeletionInProgress');
      await goings.patch(key('held'), { type: 'merge', body: { metadata: { finalizers: null } } }, write());
      await eventually(async () => assert.equal((await refusal(definitions().get({ name }))).code, 404), {
        timeoutMs: 5_000,
        what: 'the definition to go',
      });
      await eventually(() => assert.equal(catalogue.find('g2.example.com', 'v1', 'goings'), undefined), {
        timeoutMs: 3_000,
        what: 'the resource to go',
      });
      await eventually(() => assert.equal(watcher.errors.length, 1), { timeoutMs: 3_000, what: 'the watch to end' });
      assert.ok(watcher.errors[0] instanceof StatusError);
      // It can come back.
      const again = await install(catalogue, simpleDefinition('going'));
      assert.equal((await again.list({})).items.length, 0);
    });

    it('of the pool itself are served, and their objects checked', async () => {
      const machines = operationsOf(catalogue, 'compute.example.com', 'v1', 'machines');
      const status = await refusal(machines.create('default', machine('x', { size: 'xxl' }), write()));
      assert.match(status.message ?? '', /spec\.size: Unsupported value: "xxl"/);
    });
  });
});

function version(name: string, properties: Record<string, unknown>): TestDefinition['spec']['versions'][number] {
  const spec = { type: 'object', properties: { x: { type: 'string' }, ...properties } };
  return { name, served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec } } } };
}

function simpleDefinition(singular: string): TestDefinition {
  const kind = `${singular[0]?.toUpperCase() ?? ''}${singular.slice(1)}`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${singular}s.g2.example.com` },
    spec: { group: 'g2.example.com', scope: 'Namespaced', names: { plural: `${singular}s`, kind }, versions: [version('v1', {})] },
  };
}

function simple(singular: string, name: string): Record<string, unknown> {
  const kind = `${singular[0]?.toUpperCase() ?? ''}${singular.slice(1)}`;
  return { apiVersion: 'g2.example.com/v1', kind, metadata: { name }, spec: { x: '1' } };
}
