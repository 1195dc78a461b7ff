/** What the verbs of the API mean, against a real etcd. Expected answers are those that were recorded of a real kube-apiserver. */
import assert from 'node:assert/strict';
import type { KubernetesObject } from '../../api/object.ts';
import type { Catalogue } from '../../apiserver/registry/catalogue.ts';
import type { DeleteOptions, Patch, ResourceOperations, WriteResult } from '../../apiserver/registry/resource.ts';
import { createEtcdStore } from '../../apiserver/store/etcd-store.ts';
import type { Store } from '../../apiserver/store/store.ts';
import { startEtcd, type TestEtcd } from '../support/etcd.ts';
import { contentOf, install, machine, machinesDefinition, refusal, startCatalogue, writeOptions as write } from '../support/registry.ts';

const namespace = 'default';
const typeName = 'machines.compute.example.com';

interface Machine extends KubernetesObject {
  spec: Record<string, unknown>;
  status?: Record<string, unknown>;
}

describe('the registry, writing', () => {
  let etcd: TestEtcd;
  let store: Store;
  let catalogue: Catalogue;
  let machines: ResourceOperations;
  let serial = 0;

  before(async () => {
    etcd = await startEtcd({ unsafeNoFsync: true });
    store = createEtcdStore({ endpoints: [etcd.endpoint] });
    catalogue = await startCatalogue(store);
    machines = await install(catalogue, machinesDefinition());
  });

  after(async () => {
    await catalogue.close();
    await store.close();
    await etcd.stop();
  });

  const key = (name: string): { namespace: string; name: string } => ({ namespace, name });
  const read = async (name: string): Promise<Machine> => contentOf(await machines.get(key(name))) as Machine;
  const make = async (spec: object = {}, metadata: object = {}): Promise<Machine> => {
    serial += 1;
    return contentOf(await machines.create(namespace, machine(`m${serial}`, spec, metadata), write())) as Machine;
  };
  const nameOf = (object: KubernetesObject): string => object.metadata.name ?? '';
  const patch = (object: KubernetesObject, body: unknown, type: Patch['type'] = 'merge', options = write()): Promise<WriteResult> =>
    machines.patch(key(nameOf(object)), { type, body }, options);
  const patched = async (object: KubernetesObject, body: unknown, type: Patch['type'] = 'merge'): Promise<Machine> =>
    contentOf((await patch(object, body, type)).stored) as Machine;
  const put = async (object: Machine, options = write()): Promise<Machine> =>
    contentOf((await machines.update(key(nameOf(object)), object, options)).stored) as Machine;
  const remove = (object: KubernetesObject, options: Partial<DeleteOptions> = {}) => machines.delete(key(nameOf(object)), write(options));

  describe('create', () => {
    it('fills in what the server decides, prunes with a warning, defaults, and keeps allowed nulls', async () => {
      const options = write();
      const body = machine('filled', { unknownf: 1, free: { x: { y: 1 } }, nul: null, zone: null });
      const made = contentOf(await machines.create(namespace, body, options)) as Machine;
      const { uid, creationTimestamp, resourceVersion, ...metadata } = made.metadata;
      assert.match(uid ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
      assert.match(creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.match(resourceVersion ?? '', /^[1-9]\d*$/);
      assert.deepEqual(metadata, { name: 'filled', namespace, generation: 1 });
      assert.deepEqual(made.spec, { free: { x: { y: 1 } }, nul: null, replicas: 1, size: 's' });
      assert.deepEqual(options.warnings, ['unknown field "spec.unknownf"']);
      assert.deepEqual(await read('filled'), made);
    });

    it('answers 409 AlreadyExists, also to a dry run', async () => {
      const made = await make();
      for (const dryRun of [false, true]) {
        const status = await refusal(machines.create(namespace, machine(nameOf(made)), write({ dryRun })));
        assert.equal(status.message, `${typeName} "${nameOf(made)}" already exists`);
        assert.deepEqual([status.code, status.reason], [409, 'AlreadyExists']);
        assert.deepEqual(status.details, { name: nameOf(made), group: 'compute.example.com', kind: 'machines' });
      }
    });

    it('stores nothing on a dry run, and answers without resourceVersion', async () => {
      const made = await machines.create(namespace, machine('dry'), write({ dryRun: true }));
      assert.equal(contentOf(made).metadata.resourceVersion, undefined);
      assert.equal((await refusal(machines.get(key('dry')))).code, 404);
    });

    it('makes names from generateName, all different, the base cut to 58 characters', async () => {
      const base = 'g'.repeat(70);
      const made = await Promise.all(
        Array.from({ length: 5 }, () => machines.create(namespace, { ...machine('x'), metadata: { generateName: base } }, write())),
      );
      const names = new Set(made.map(({ object }) => object.metadata.name));
      assert.equal(names.size, 5);
      for (const name of names) assert.match(name ?? '', /^g{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    });

    it('does not take what only the server may set', async () => {
      const made = await make(
        {},
        {
          uid: 'mine',
          generation: 7,
          creationTimestamp: '2001-01-01T00:00:00Z',
          deletionTimestamp: '2001-01-01T00:00:00Z',
          managedFields: [{}],
        },
      );
      assert.notEqual(made.metadata.uid, 'mine');
      assert.deepEqual([made.metadata.generation, made.metadata.deletionTimestamp, made.metadata.managedFields], [1, undefined, undefined]);
      assert.notEqual(made.metadata.creationTimestamp, '2001-01-01T00:00:00Z');
    });

    it('drops the status', async () => {
      const made = await machines.create(namespace, { ...machine('withstatus'), status: { phase: 'Up' } }, write());
      assert.equal('status' in contentOf(made), false);
    });

    const refused: readonly [claim: string, body: unknown, code: number, message: RegExp, options?: Partial<DeleteOptions>][] = [
      [
        'a resourceVersion',
        machine('b', {}, { resourceVersion: '5' }),
        400,
        /^resourceVersion should not be set on objects to be created$/,
      ],
      [
        'another namespace',
        machine('b', {}, { namespace: 'other' }),
        400,
        /^the namespace of the provided object does not match the namespace sent on the request$/,
      ],
      [
        'another version',
        { ...machine('b'), apiVersion: 'compute.example.com/v2' },
        400,
        /^the API version in the data \(compute\.example\.com\/v2\) does not match the expected API version \(compute\.example\.com\/v1\)$/,
      ],
      [
        'no kind',
        { metadata: { name: 'b' }, spec: {} },
        400,
        /^the object provided is unrecognized \(must be of type Machine\): Object 'Kind' is missing in '.*' \(\{"metadata".* \.\.\.\)$/,
      ],
      ['a text', 'x', 400, /unrecognized/],
      [
        'another kind',
        { ...machine('b'), kind: 'Foo' },
        422,
        /^Foo\.compute\.example\.com "b" is invalid: kind: Invalid value: "Foo": must be Machine$/,
      ],
      [
        'no name',
        { ...machine('b'), metadata: {} },
        422,
        /^Machine\.compute\.example\.com "" is invalid: \[metadata\.name: Required value: name or generateName is required, <nil>: Invalid value: null: some validation rules were not checked/,
      ],
      [
        'a name with capitals',
        machine('Bad_Name'),
        422,
        /^Machine\.compute\.example\.com "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
      ],
      [
        'a bad label',
        machine('b', {}, { labels: { 'bad key!': 'x' } }),
        422,
        /metadata\.labels: Invalid value: "bad key!": name part must consist of/,
      ],
      [
        'no spec',
        { ...machine('b'), spec: undefined },
        422,
        /^Machine\.compute\.example\.com "b" is invalid: \[spec: Required value, <nil>/,
      ],
      [
        'what a CEL rule forbids',
        machine('b', { replicas: 7 }),
        422,
        /^Machine\.compute\.example\.com "b" is invalid: spec\.replicas: Forbidden: replicas must be <= 5$/,
      ],
      [
        'unknown fields when strict',
        machine('b', { size: 's', bogus: 1 }, { foo: 'x' }),
        400,
        /^Machine in version "v1" cannot be handled as a Machine: strict decoding error: duplicate field "spec\.size", unknown field "(metadata\.foo|spec\.bogus)", unknown field "(metadata\.foo|spec\.bogus)"$/,
        { fieldValidation: 'Strict', duplicateFields: ['spec.size'] },
      ],
      [
        'an owner without uid',
        machine('b', {}, { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x' }] }),
        422,
        /metadata\.ownerReferences\.uid: Invalid value: "": must not be empty/,
      ],
      ['an object above 1.5 MB', machine('b', { free: { x: 'x'.repeat(1_600_000) } }), 413, /limit is 1500000/],
    ];
    for (const [claim, body, code, message, options] of refused) {
      it(`refuses ${claim} with ${code}, and stores nothing`, async () => {
        const status = await refusal(machines.create(namespace, body, write(options)));
        assert.equal(status.code, code);
        assert.match(status.message ?? '', message);
        assert.equal((await refusal(machines.get(key('b')))).code, 404);
      });
    }

    it('warns of finalizers without a domain', async () => {
      const options = write();
      await machines.create(namespace, machine('badfin', {}, { finalizers: ['nofq'] }), options);
      assert.match(options.warnings.join(), /^metadata\.finalizers: "nofq": prefer a domain-qualified finalizer name/);
    });

    it('answers 404 for a namespace that does not exist, 400 without one', async () => {
      const status = await refusal(machines.create('nonexist', machine('c'), write()));
      assert.deepEqual(
        [status.code, status.message, status.details],
        [404, 'namespaces "nonexist" not found', { name: 'nonexist', kind: 'namespaces' }],
      );
      assert.equal((await refusal(machines.create(undefined, machine('c'), write()))).code, 400);
    });
  });

  describe('update', () => {
    it('counts a change of the spec, and no change of metadata, as a generation', async () => {
      const made = await make();
      const labelled = await put({ ...made, metadata: { ...made.metadata, generation: 77, labels: { k: 'v' } } });
      assert.deepEqual([labelled.metadata.generation, labelled.metadata.labels], [1, { k: 'v' }]);
      assert.notEqual(labelled.metadata.resourceVersion, made.metadata.resourceVersion);
      assert.equal((await put({ ...labelled, spec: { size: 'm' } })).metadata.generation, 2);
    });

    it('that changes nothing keeps the resourceVersion', async () => {
      const made = await make();
      const again = await put({ ...made, status: { ignored: true } });
      assert.deepEqual(again, made);
      assert.deepEqual(await read(nameOf(made)), made);
    });

    const refused: readonly [claim: string, change: (object: Machine) => Machine, code: number, message: RegExp][] = [
      [
        'a stale resourceVersion',
        (object) => withMetadata(object, { resourceVersion: '1' }),
        409,
        /^Operation cannot be fulfilled on machines\.compute\.example\.com "m\d+": the object has been modified; please apply your changes to the latest version and try again$/,
      ],
      [
        'no resourceVersion',
        (object) => withMetadata(object, { resourceVersion: undefined }),
        422,
        /^machines\.compute\.example\.com "m\d+" is invalid: metadata\.resourceVersion: Invalid value: 0: must be specified for an update$/,
      ],
      [
        'a resourceVersion that is no number',
        (object) => withMetadata(object, { resourceVersion: 'abc' }),
        400,
        /parsing "abc": invalid syntax/,
      ],
      [
        'another uid',
        (object) => withMetadata(object, { uid: 'other' }),
        409,
        /Precondition failed: UID in precondition: other, UID in object meta: /,
      ],
      [
        'another name',
        (object) => withMetadata(object, { name: 'q' }),
        400,
        /^the name of the object \(q\) does not match the name on the URL \(m\d+\)$/,
      ],
      [
        'another namespace',
        (object) => withMetadata(object, { namespace: 'other' }),
        400,
        /does not match the namespace sent on the request/,
      ],
      [
        'an invalid spec',
        (object) => ({ ...object, spec: { size: 'xxl' } }),
        422,
        /spec\.size: Unsupported value: "xxl": supported values: "s", "m", "l"/,
      ],
      [
        'a deletionTimestamp',
        (object) => withMetadata(object, { deletionTimestamp: '2001-01-01T00:00:00Z' }),
        422,
        /metadata\.deletionTimestamp: Invalid value: "2001-01-01T00:00:00Z": field is immutable/,
      ],
    ];
    for (const [claim, change, code, message] of refused) {
      it(`refuses ${claim} with ${code}`, async () => {
        const made = await make();
        const status = await refusal(machines.update(key(nameOf(made)), change(made), write()));
        assert.equal(status.code, code);
        assert.match(status.message ?? '', message);
        assert.deepEqual(await read(nameOf(made)), made);
      });
    }

    it('does not create', async () => {
      const body = { ...machine('newput'), metadata: { name: 'newput', resourceVersion: '1' } };
      assert.equal((await refusal(machines.update(key('newput'), body, write()))).code, 404);
    });

    it('through /status changes the status and nothing else; through the main resource everything else', async () => {
      const made = await make({ size: 'm' }, { labels: { k: 'v' } });
      const name = nameOf(made);
      const body = {
        ...made,
        metadata: { ...made.metadata, labels: { st: '1' }, annotations: { x: 'y' } },
        spec: { size: 'l' },
        status: { phase: 'Up' },
      };
      const { stored } = await machines.update(key(name), body, write(), 'status');
      const { spec, status, metadata } = contentOf(stored) as Machine;
      assert.deepEqual(
        [spec['size'], status, metadata.labels, metadata.annotations, metadata.generation],
        ['m', { phase: 'Up' }, { k: 'v' }, undefined, 1],
      );
      const main = await patched(made, { status: { phase: 'Down' }, spec: { size: 'l' } });
      assert.deepEqual([main.status, main.spec['size'], main.metadata.generation], [{ phase: 'Up' }, 'l', 2]);
      const viaStatus = await machines.patch(key(name), { type: 'merge', body: { status: { phase: null, n: 1 } } }, write(), 'status');
      assert.deepEqual((contentOf(viaStatus.stored) as Machine).status, { n: 1 });
    });

    it('stores nothing on a dry run', async () => {
      const made = await make();
      const dry = await put({ ...made, spec: { size: 'l' } }, write({ dryRun: true }));
      assert.deepEqual([dry.spec['size'], dry.metadata.resourceVersion], ['l', made.metadata.resourceVersion]);
      assert.deepEqual(await read(nameOf(made)), made);
    });

    it('is won by exactly one of many that name the same revision', async () => {
      const made = await make();
      const racers = Array.from({ length: 10 }, (_, index) =>
        put({ ...made, metadata: { ...made.metadata, labels: { racer: String(index) } } }),
      );
      const outcomes = await Promise.allSettled(racers);
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    });
  });

  describe('patch', () => {
    it('merges, removes with null, and counts generations', async () => {
      const made = await make({ free: { a: 1, b: 2 } });
      const changed = await patched(made, { spec: { size: 'm', free: { a: null, c: 3 } } });
      assert.deepEqual([changed.spec, changed.metadata.generation], [{ free: { b: 2, c: 3 }, replicas: 1, size: 'm' }, 2]);
    });

    it('applies JSON patches', async () => {
      const made = await make();
      const changed = await patched(
        made,
        [
          { op: 'test', path: '/spec/size', value: 's' },
          { op: 'add', path: '/metadata/labels', value: { a: 'b' } },
        ],
        'json',
      );
      assert.deepEqual(changed.metadata.labels, { a: 'b' });
      assert.equal((await refusal(patch(made, [{ op: 'test', path: '/spec/size', value: 'zzz' }], 'json'))).code, 422);
    });

    const refused: readonly [
      claim: string,
      body: unknown,
      type: Patch['type'],
      code: number,
      message: RegExp,
      options?: Partial<DeleteOptions>,
    ][] = [
      [
        'a stale resourceVersion',
        { metadata: { resourceVersion: '1' }, spec: { size: 'l' } },
        'merge',
        409,
        /the object has been modified/,
      ],
      ['another name', { metadata: { name: 'zz' } }, 'merge', 400, /^the name of the object \(zz\) does not match the name on the URL/],
      ['what a transition rule forbids', { spec: { zone: 'xyz' } }, 'merge', 422, /spec: Invalid value: zone is immutable/],
      [
        'a strategic patch',
        { spec: { size: 'm' } },
        'strategic',
        415,
        /accepted media types include: application\/json-patch\+json, application\/merge-patch\+json$/,
      ],
      ['server-side apply', { spec: { size: 'm' } }, 'apply', 415, /^server-side apply is not served here/],
      ['a list as merge patch', [1], 'merge', 400, /error decoding patch/],
      [
        'unknown fields when strict',
        { spec: { bogus: 1 } },
        'merge',
        422,
        /^ "" is invalid: patch: Invalid value: "\{.*: strict decoding error: unknown field "spec\.bogus"$/,
        { fieldValidation: 'Strict' },
      ],
    ];
    for (const [claim, body, type, code, message, options] of refused) {
      it(`refuses ${claim} with ${code}`, async () => {
        const made = await make({ zone: 'abc' });
        const status = await refusal(patch(made, body, type, write(options)));
        assert.equal(status.code, code);
        assert.match(status.message ?? '', message);
      });
    }

    it('answers 404 for what is absent', async () => {
      assert.equal((await refusal(machines.patch(key('zz'), { type: 'merge', body: {} }, write()))).code, 404);
    });

    it('loses no update to others that write at the same time', async () => {
      const made = await make();
      // Each is applied anew at most five times, so five others can come between.
      await Promise.all([1, 2, 3, 4, 5].map((n) => patch(made, { metadata: { labels: { [`l${n}`]: 'x' } } })));
      assert.deepEqual(Object.keys((await read(nameOf(made))).metadata.labels ?? {}).sort(), ['l1', 'l2', 'l3', 'l4', 'l5']);
    });
  });

  describe('delete', () => {
    it('removes at once what has no finalizers', async () => {
      const made = await make();
      const result = await remove(made);
      assert.ok(result.gone);
      assert.equal(result.object.metadata.uid, made.metadata.uid);
      assert.equal((await refusal(machines.get(key(nameOf(made))))).code, 404);
      assert.equal((await refusal(remove(made))).message, `${typeName} "${nameOf(made)}" not found`);
    });

    it('waits for finalizers: marks once, counts a generation, then goes with the last one', async () => {
      const made = await make({}, { finalizers: ['example.com/f'] });
      const first = await remove(made, { gracePeriodSeconds: 30 });
      assert.ok(!first.gone);
      const marked = contentOf(first.stored);
      assert.match(marked.metadata.deletionTimestamp ?? '', /Z$/);
      assert.deepEqual([marked.metadata.deletionGracePeriodSeconds, marked.metadata.generation], [0, 2]);
      const second = await remove(made);
      assert.ok(!second.gone);
      assert.deepEqual(contentOf(second.stored), marked);
      const added = await refusal(patch(made, { metadata: { finalizers: ['example.com/f', 'example.com/g'] } }));
      assert.match(
        added.message ?? '',
        /metadata\.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"example\.com\/g"\}/,
      );
      assert.equal((await patched(made, { spec: { size: 'l' } })).metadata.generation, 3);
      const last = await patched(made, { metadata: { finalizers: null } });
      assert.equal(last.metadata.finalizers, undefined);
      assert.equal((await refusal(machines.get(key(nameOf(made))))).code, 404);
    });

    it('holds preconditions, on the kind as Kubernetes names it', async () => {
      const made = await make();
      const uid = await refusal(remove(made, { preconditions: { uid: 'other' } }));
      assert.deepEqual([uid.code, uid.details?.kind], [409, 'Machine']);
      assert.match(
        uid.message ?? '',
        /^Operation cannot be fulfilled on Machine\.compute\.example\.com "m\d+": the UID in the precondition \(other\) does not match the UID in record \(.*\)\. The object might have been deleted and then recreated$/,
      );
      const version = await refusal(remove(made, { preconditions: { resourceVersion: '1' } }));
      assert.match(
        version.message ?? '',
        /the ResourceVersion in the precondition \(1\) does not match the ResourceVersion in record \(\d+\)\. The object might have been modified$/,
      );
      assert.ok((await remove(made, { preconditions: { uid: made.metadata.uid ?? '' } })).gone);
    });

    for (const [policy, finalizer] of [
      ['Foreground', 'foregroundDeletion'],
      ['Orphan', 'orphan'],
    ] as const) {
      it(`with ${policy} waits for the garbage collector through ${finalizer}; Background takes it back`, async () => {
        const made = await make();
        const result = await remove(made, { propagationPolicy: policy });
        assert.ok(!result.gone);
        assert.deepEqual(contentOf(result.stored).metadata.finalizers, [finalizer]);
        assert.ok((await remove(made, { propagationPolicy: 'Background' })).gone);
      });
    }

    it('stores nothing on a dry run', async () => {
      const made = await make();
      assert.ok((await remove(made, { dryRun: true })).gone);
      assert.ok(!(await remove(made, { dryRun: true, propagationPolicy: 'Foreground' })).gone);
      assert.deepEqual(await read(nameOf(made)), made);
    });

    it('of a collection follows selectors and answers what it deleted', async () => {
      await Promise.all(
        ['a', 'b', 'c'].map((name) =>
          machines.create(namespace, machine(`dc-${name}`, {}, { labels: { dc: name === 'c' ? 'no' : 'yes' } }), write()),
        ),
      );
      const dry = await machines.deleteCollection({ namespace, labelSelector: 'dc=yes' }, write({ dryRun: true }));
      assert.equal(dry.items.length, 2);
      const deleted = await machines.deleteCollection({ namespace, labelSelector: 'dc=yes' }, write());
      assert.deepEqual(
        deleted.items.map(({ object }) => object.metadata.name),
        ['dc-a', 'dc-b'],
      );
      const left = await machines.list({ namespace, labelSelector: 'dc' });
      assert.deepEqual(
        left.items.map(({ object }) => object.metadata.name),
        ['dc-c'],
      );
      const refusedDeletion = await refusal(
        machines.deleteCollection({ namespace, labelSelector: 'dc' }, write({ preconditions: { uid: 'zzz' } })),
      );
      assert.equal(refusedDeletion.code, 409);
    });
  });

  it('refuses names that would reach other keys', async () => {
    for (const name of ['a/b', '..', '']) assert.equal((await refusal(machines.get(key(name)))).code, 400);
  });

  it('answers 404 for a subresource that is not served', async () => {
    const made = await make();
    assert.equal((await refusal(machines.update(key(nameOf(made)), made, write(), 'scale'))).code, 404);
    assert.equal((await refusal(machines.update(key(nameOf(made)), made, write(), 'finalize'))).code, 404);
  });
});

function withMetadata(object: Machine, metadata: Record<string, unknown>): Machine {
  return { ...object, metadata: { ...object.metadata, ...metadata } };
}
