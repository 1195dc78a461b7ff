/** The API server over real etcd, as the real kubectl and plain HTTPS see it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTcp, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { startApiServer } from '../../apiserver/api-server.ts';
import { silentLogger } from '../../runtime/logger.ts';
import type { KubectlResult, TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { Credentials, RawAnswer, RawRequest } from '../support/https-request.ts';
import { openRequest, rawRequest, readCredentials } from '../support/https-request.ts';

const potluck = '/apis/potluck.dev/v1alpha1';
const instancesPath = `${potluck}/namespaces/default/instances`;

function instance(name: string, spec: object = {}): Record<string, unknown> {
  const resources = { requests: { cpu: '1', memory: '1Gi', disk: '1Gi' } };
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name, namespace: 'default' },
    spec: { image: 'debian:12', resources, ...spec },
  };
}

describe('the API server', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let admin: Required<Credentials>;

  before(async () => {
    api = await startTestApiServer();
    admin = await readCredentials(api.kubeconfigPath);
  });
  after(() => api.stop());

  const send = (path: string, raw: RawRequest = {}, credentials: Credentials = admin): Promise<RawAnswer> =>
    rawRequest(`${api.url}${path}`, credentials, raw);
  const post = (path: string, body: unknown): Promise<RawAnswer> =>
    send(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const kubectl = async (...args: string[]): Promise<string> => succeeded(args, await api.kubectl(args));
  const apply = async (object: unknown, ...flags: string[]): Promise<string> =>
    succeeded(['apply'], await api.kubectl(['apply', '-f', '-', ...flags], JSON.stringify(object)));

  describe('to kubectl', () => {
    it('serves an instance from apply to delete', async () => {
      assert.equal(await apply(instance('one')), 'instance.potluck.dev/one created\n');
      assert.equal(await apply(instance('one')), 'instance.potluck.dev/one unchanged\n');
      assert.equal(await apply(instance('one', { powerState: 'Stopped' })), 'instance.potluck.dev/one configured\n');
      const wide = await kubectl('get', 'instances', '-o', 'wide');
      assert.match(
        wide,
        /^NAME +PHASE +PROVIDER +CPU +MEMORY +AGE +HOSTNAME +IMAGE +CPU USED +MEMORY USED +DISK USED +RESTARTS +MESSAGE\none +1 +1Gi +\d+s +debian:12/u,
      );
      assert.match(await kubectl('get', 'inst'), /^NAME +PHASE +PROVIDER +CPU +MEMORY +AGE\n/u);
      assert.match(await kubectl('describe', 'instance', 'one'), /Power State: +Stopped/u);
      await kubectl('label', 'instance', 'one', 'team=blue');
      await kubectl('annotate', 'instance', 'one', 'note=hello');
      assert.match(await kubectl('get', 'instances', '-l', 'team=blue', '-o', 'name'), /^instance\.potluck\.dev\/one\n$/u);
      assert.equal(await kubectl('get', 'instances', '-l', 'team!=blue', '-o', 'name'), '');
      assert.equal(await kubectl('get', 'instances', '--field-selector', 'spec.powerState=Running', '-o', 'name'), '');
      await kubectl('patch', 'instance', 'one', '--type=merge', '-p', '{"spec":{"powerState":"Running"}}');
      await kubectl('patch', 'instance', 'one', '--type=json', '-p', '[{"op":"replace","path":"/spec/image","value":"debian:13"}]');
      assert.equal(await kubectl('get', 'instance', 'one', '-o', 'jsonpath={.spec.image} {.spec.powerState}'), 'debian:13 Running');
      assert.equal(await kubectl('delete', 'instance', 'one'), 'instance.potluck.dev "one" deleted\n');
      assert.match((await api.kubectl(['get', 'instance', 'one'])).stderr, /instances\.potluck\.dev "one" not found/u);
    });

    it('shows differences and dry runs without storing them', async () => {
      await apply(instance('two'));
      const changed = JSON.stringify(instance('two', { image: 'debian:13' }));
      const diff = await api.kubectl(['diff', '-f', '-'], changed);
      assert.equal(diff.code, 1, diff.stderr);
      assert.match(diff.stdout, /-\s+image: debian:12\n\+\s+image: debian:13/u);
      assert.equal((await api.kubectl(['diff', '-f', '-'], JSON.stringify(instance('two')))).code, 0);
      assert.equal(
        await apply(instance('two', { image: 'debian:13' }), '--dry-run=server'),
        'instance.potluck.dev/two configured (server dry run)\n',
      );
      assert.equal(await apply(instance('three'), '--dry-run=server'), 'instance.potluck.dev/three created (server dry run)\n');
      assert.equal(await kubectl('get', 'instances', '-o', 'jsonpath={.items[*].spec.image}'), 'debian:12');
      await kubectl('delete', 'instance', 'two');
    });

    it('explains and lists what it serves', async () => {
      assert.match(await kubectl('explain', 'instance.spec.image'), /FIELD: +image <string>[^]*Any OCI image reference/u);
      assert.match(await kubectl('explain', 'namespace'), /KIND: +Namespace/u);
      assert.match(await kubectl('api-resources', '--api-group=potluck.dev'), /instances +inst +potluck\.dev\/v1alpha1 +true +Instance\n/u);
      assert.match(await kubectl('version'), /Server Version: [^]*v1\.32\./u);
      assert.match(await kubectl('get', '--raw', '/readyz?verbose'), /\[\+\]etcd ok[^]*readyz check passed/u);
    });

    it('makes namespaces, configmaps and secrets, which newer clients send as protobuf', async () => {
      assert.equal(await kubectl('create', 'namespace', 'blue'), 'namespace/blue created\n');
      await kubectl('create', 'configmap', 'c', '-n', 'blue', '--from-literal=a=1', '--from-literal=empty=');
      await kubectl('create', 'secret', 'generic', 's', '-n', 'blue', '--from-literal=password=pa ß');
      assert.equal(await kubectl('get', 'configmap', 'c', '-n', 'blue', '-o', 'jsonpath={.data}'), '{"a":"1","empty":""}');
      const secret = await kubectl('get', 'secret', 's', '-n', 'blue', '-o', 'jsonpath={.data.password} {.type}');
      assert.equal(secret, `${Buffer.from('pa ß').toString('base64')} Opaque`);
      assert.match(await kubectl('get', 'cm,secret', '-n', 'blue'), /configmap\/c +2 +\d+s[^]*secret\/s +Opaque +1 +\d+s/u);
      await apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'blue' }, data: { a: '2' } });
      await kubectl('patch', 'configmap', 'c', '-n', 'blue', '-p', '{"data":{"b":"3"}}');
      assert.match(await kubectl('get', 'configmap', 'c', '-n', 'blue', '-o', 'jsonpath={.data}'), /"b":"3"/u);
    });

    it('waits for conditions and deletions, and prints changes as they come', async () => {
      await apply(instance('waited'));
      const waiting = api.kubectl(['wait', '--for=condition=Ready', 'instance/waited', '--timeout=20s']);
      const watching = api.kubectl([
        'get',
        'instances',
        '-w',
        '--request-timeout=4s',
        '-o',
        'jsonpath={.metadata.name} {.status.phase}{"\\n"}',
      ]);
      const condition = {
        type: 'Ready',
        status: 'True',
        reason: 'Running',
        message: 'It runs.',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
      const patched = await send(`${instancesPath}/waited/status`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify({ status: { phase: 'Running', conditions: [condition] } }),
      });
      assert.equal(patched.code, 200, patched.body.toString());
      assert.equal((await waiting).stdout, 'instance.potluck.dev/waited condition met\n');
      assert.match((await watching).stdout, /waited Running\n/u);
      assert.match(await kubectl('get', 'instances', '-o', 'wide'), /waited +Running .*It runs\./u);
      await kubectl('patch', 'instance', 'waited', '--type=merge', '-p', '{"metadata":{"finalizers":["example.com/hold"]}}');
      const deletion = api.kubectl(['delete', 'instance', 'waited', '--timeout=20s']);
      await eventually(async () => assert.match(await kubectl('get', 'instance', 'waited', '-o', 'yaml'), /deletionTimestamp/u), {
        timeoutMs: 20_000,
        what: 'the deletion to be asked for',
      });
      await kubectl('patch', 'instance', 'waited', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
      assert.equal((await deletion).code, 0);
    });

    it('serves a new kind at once, and nothing of it after its definition went', async () => {
      const names = { plural: 'cups', singular: 'cup', kind: 'Cup', listKind: 'CupList' };
      const schema = {
        openAPIV3Schema: {
          type: 'object',
          properties: { spec: { type: 'object', properties: { size: { type: 'integer', maximum: 9 } } } },
        },
      };
      const versions = [{ name: 'v1', served: true, storage: true, schema }];
      const metadata = { name: 'cups.example.com' };
      const crd = {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata,
        spec: { group: 'example.com', names, scope: 'Cluster', versions },
      };
      await apply(crd);
      await kubectl('wait', '--for=condition=Established', 'crd/cups.example.com', '--timeout=20s');
      await apply({ apiVersion: 'example.com/v1', kind: 'Cup', metadata: { name: 'a' }, spec: { size: 3 } });
      assert.match(await kubectl('get', 'cups'), /^NAME +AGE\na +\d+s\n$/u);
      assert.match(await kubectl('explain', 'cup.spec'), /size\s+<integer>/u);
      await kubectl('delete', 'crd', 'cups.example.com', '--timeout=30s');
      assert.equal((await send('/apis/example.com/v1/cups')).code, 404);
    });
  });

  describe('to whoever it may be', () => {
    it('shows health and version without a certificate, and refuses the rest in Kubernetes’ words', async () => {
      const anonymous = { ca: admin.ca };
      assert.equal((await send('/readyz', {}, anonymous)).body.toString(), 'ok');
      assert.equal((await send('/version', {}, anonymous)).json?.['minor'], '32');
      const refused = await send('/api/v1/namespaces', {}, anonymous);
      assert.equal(refused.code, 403);
      assert.equal(
        refused.json?.['message'],
        'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope',
      );
      assert.equal((await send('/metrics', {}, anonymous)).code, 403);
      const token = await send('/api', { headers: { authorization: 'Bearer guessed' } }, anonymous);
      assert.deepEqual([token.code, token.json?.['message']], [401, 'Unauthorized']);
      assert.match((await send('/metrics')).body.toString(), /apiserver_request_total\{.*code="403"/u);
    });

    it('knows the controller, which may not read what it need not', async () => {
      const controller = await readCredentials(join(api.home, 'pki', 'controller.kubeconfig'));
      assert.equal((await send(`${potluck}/instances`, {}, controller)).code, 200);
      assert.equal((await send('/metrics', {}, controller)).code, 403);
      for (const file of ['kubeconfig', 'pki/ca.key', 'pki/controller.kubeconfig'])
        assert.equal((await stat(join(api.home, file))).mode & 0o77, 0);
    });

    it('answers paths that do not exist as Kubernetes does', async () => {
      assert.equal((await send('/apis/nope.io/v1/x')).body.toString(), '404 page not found\n');
      assert.equal((await send(`${potluck}/nothing`)).body.toString(), '404 page not found\n');
      assert.equal((await send('/api/v1/nope')).json?.['message'], 'the server could not find the requested resource');
      assert.equal((await send(`${instancesPath}/x/nosub`)).code, 404);
      assert.equal((await post(`${potluck}/instances`, instance('x'))).code, 404);
      assert.equal((await send(instancesPath, { method: 'PUT', body: '{}' })).json?.['message'], 'name must be provided');
      assert.equal((await send(instancesPath, { method: 'OPTIONS' })).code, 405);
    });

    it('gives YAML, metadata alone, and large lists compressed', async () => {
      const items = Array.from({ length: 60 }, (_, index) => `large-${String(index).padStart(2, '0')}`);
      for (const name of items) {
        const created = await post('/api/v1/namespaces/default/configmaps', { metadata: { name }, data: { a: 'x'.repeat(3000) } });
        assert.equal(created.code, 201);
      }
      const list = await send('/api/v1/namespaces/default/configmaps', { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(list.headers['content-encoding'], 'gzip');
      assert.equal((JSON.parse(gunzipSync(list.body).toString()) as { items: unknown[] }).items.length, 60);
      const first = await send('/api/v1/namespaces/default/configmaps?limit=2');
      const { metadata } = first.json as { metadata: { continue: string; remainingItemCount: number } };
      assert.equal(metadata.remainingItemCount, 58);
      const second = await send(`/api/v1/namespaces/default/configmaps?limit=2&continue=${metadata.continue}`);
      assert.deepEqual(
        (second.json?.['items'] as { metadata: { name: string } }[]).map((item) => item.metadata.name),
        items.slice(2, 4),
      );
      const yaml = await send('/api/v1/namespaces/default/configmaps/large-00', { headers: { accept: 'application/yaml' } });
      assert.match(yaml.body.toString(), /^apiVersion: v1\ndata:\n[^]*creationTimestamp: "2/u);
      const accept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
      const partial = await send('/api/v1/namespaces/default/configmaps/large-00', { headers: { accept } });
      assert.deepEqual(Object.keys(partial.json ?? {}), ['kind', 'apiVersion', 'metadata']);
      const gone = await send('/api/v1/namespaces/default/configmaps', { method: 'DELETE' });
      assert.equal((gone.json?.['items'] as unknown[]).length, 60);
    });

    it('watches: what is there, then changes, bookmarks at the end of the first part, and an end in time', async () => {
      await post(instancesPath, instance('seen'));
      const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=3';
      const events = linesOf(await openRequest(`${api.url}${instancesPath}?${query}`, admin));
      assert.deepEqual(await typeAndName(events), ['ADDED', 'seen']);
      const { value: end } = await events.next();
      assert.equal(end?.type, 'BOOKMARK');
      assert.equal(end.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
      await send(`${instancesPath}/seen`, { method: 'DELETE' });
      assert.deepEqual(await typeAndName(events), ['DELETED', 'seen']);
      assert.equal((await events.next()).done, true);
    });

    it('watches tables, with the columns in the first row only', async () => {
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
      const events = linesOf(await openRequest(`${api.url}${instancesPath}?watch=1&timeoutSeconds=3`, admin, { headers: { accept } }));
      await post(instancesPath, instance('row'));
      const { value: first } = await events.next();
      await send(`${instancesPath}/row`, { method: 'DELETE' });
      const { value: second } = await events.next();
      assert.equal(first?.object.columnDefinitions?.[0]?.name, 'Name');
      assert.equal(second?.object.columnDefinitions, null);
      assert.equal(first.object.rows?.[0]?.cells[0], 'row');
      assert.equal((await send(`${instancesPath}?watch=1`, { headers: { accept: 'application/yaml' } })).code, 406);
    });

    it('cuts off slow and oversized requests, and serves on', async () => {
      const large = await send(instancesPath, { method: 'POST', headers: { 'content-length': String(4 * 1024 * 1024) } }).catch(
        (error: unknown) => error,
      );
      assert.ok(large instanceof Error || (large as RawAnswer).code === 413, String(large));
      const chunked = { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: Buffer.alloc(3 * 1024 * 1024 + 1, ' ') };
      const refused = await send(instancesPath, chunked);
      assert.equal(refused.json?.['message'], 'Request entity too large: limit is 3145728');
      assert.equal((await send(`/api?${'x'.repeat(9000)}`)).code, 414);
      const { port, hostname } = new URL(api.url);
      const slow = connect({ port: Number(port), host: hostname, ca: admin.ca });
      slow.write('GET /version HTTP/1.1\r\n');
      slow.on('error', () => undefined).resume();
      await once(slow, 'close');
      assert.equal((await send('/readyz')).code, 200);
    });
  });

  describe('refuses', () => {
    const refusals: [string, unknown, number, RegExp][] = [
      ['no image', { image: undefined }, 422, /spec\.image: Required value/u],
      ['an empty image', { image: '' }, 422, /spec\.image: Invalid value: "": spec\.image in body should be at least 1 chars long/u],
      ['an image that is a number', { image: 5 }, 422, /spec\.image: Invalid value: "integer": .*must be of type string/u],
      ['an image with blanks', { image: 'de bian' }, 422, /spec\.image: Invalid value: "de bian"/u],
      ['a command that is no list', { command: 'sh' }, 422, /spec\.command: Invalid value: "string"/u],
      [
        'too many arguments',
        { args: Array.from({ length: 257 }, () => 'a') },
        422,
        /spec\.args: Too many: 257: must have at most 256 items/u,
      ],
      ['no requests', { resources: {} }, 422, /spec\.resources/u],
      [
        'a quantity that is none',
        { resources: { requests: { cpu: 'lots', memory: '1Gi', disk: '1Gi' } } },
        422,
        /spec\.resources\.requests.*lots/u,
      ],
      ['memory below zero', { resources: { requests: { cpu: '1', memory: '-1Gi', disk: '1Gi' } } }, 422, /spec\.resources/u],
      [
        'a limit below the request',
        { resources: { requests: { cpu: '1', memory: '2Gi', disk: '1Gi' }, limits: { memory: '1Gi' } } },
        422,
        /spec\.resources: .*a request must not be greater than the limit/u,
      ],
      [
        'an unknown power state',
        { powerState: 'Sleeping' },
        422,
        /spec\.powerState: Unsupported value: "Sleeping": supported values: "Running", "Stopped"/u,
      ],
      ['an unknown restart policy', { restartPolicy: 'Sometimes' }, 422, /spec\.restartPolicy: Unsupported value/u],
      [
        'a latitude beyond the pole',
        { placement: { near: { latitude: 95, longitude: 0, maxDistanceKm: 5 } } },
        422,
        /latitude must be from -90 to 90/u,
      ],
      [
        'a distance of zero',
        { placement: { near: { latitude: 5, longitude: 0, maxDistanceKm: 0 } } },
        422,
        /maxDistanceKm: Invalid value: 0/u,
      ],
      ['a distance that is a fraction', { placement: { near: { latitude: 5, longitude: 0, maxDistanceKm: 1.5 } } }, 422, /maxDistanceKm/u],
      ['spread over nothing', { placement: { spread: {} } }, 422, /spec\.placement\.spread\.by: Required value/u],
      ['an unknown field', { imagee: 'debian' }, 400, /strict decoding error: unknown field "spec\.imagee"/u],
    ];
    for (const [what, spec, code, message] of refusals) {
      it(what, () => refuses(instance('bad', spec as object), code, message));
    }

    it('a bad name, label, kind, version and namespace', async () => {
      await refuses(instance('Bad_Name'), 422, /metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/u);
      await refuses(instance('x'.repeat(64)), 422, /metadata\.name/u);
      await refuses(
        { ...instance('bad'), metadata: { name: 'bad', labels: { 'a b!': 'x' } } },
        422,
        /metadata\.labels: Invalid value: "a b!"/u,
      );
      await refuses({ ...instance('bad'), kind: 'Provider' }, 422, /kind: Invalid value: "Provider": must be Instance/u);
      await refuses(
        { ...instance('bad'), apiVersion: 'potluck.dev/v9' },
        400,
        /the API version in the data \(potluck\.dev\/v9\) does not match/u,
      );
      await refuses(
        { ...instance('bad'), metadata: { name: 'bad', namespace: 'other' } },
        400,
        /the namespace of the provided object does not match/u,
      );
    });

    it('what is not JSON, has no kind, names a field twice, or is too large', async () => {
      await refuses('{bad', 400, /couldn't get version\/kind; json parse error: .*\(\{bad\)/u);
      await refuses('[]', 400, /the object provided is unrecognized/u);
      await refuses({ spec: {} }, 400, /Object 'Kind' is missing/u);
      const twice = JSON.stringify(instance('bad')).replace('"image":"debian:12"', '"image":"debian:12","image":"x"');
      await refuses(twice, 400, /duplicate field "spec\.image"/u);
      await refuses(instance('bad', { env: [{ name: 'A', value: 'x'.repeat(2_000_000) }] }), 422, /spec\.env/u);
      await refuses(
        { ...instance('bad'), metadata: { name: 'bad', annotations: { a: 'x'.repeat(300_000) } } },
        422,
        /metadata\.annotations: Too long/u,
      );
      const yaml = { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: 'a: [1' };
      const notYaml = await send(instancesPath, yaml);
      assert.equal(notYaml.code, 400);
      assert.match(String(notYaml.json?.['message']), /yaml/u);
      const text = await send(instancesPath, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' });
      assert.equal(text.code, 415);
    });

    it('through kubectl too, naming field, line or limit', async () => {
      const manifest = (spec: object, metadata: object = { name: 'bad' }): string => JSON.stringify({ ...instance('bad', spec), metadata });
      const wrong: [what: string, text: string, message: RegExp][] = [
        ['no YAML', 'apiVersion: potluck.dev/v1alpha1\nkind: Instance\nspec: [1\n', /yaml: line \d/u],
        ['a tab', 'apiVersion: v1\n\tkind: x\n', /yaml: line 2/u],
        ['no kind', 'apiVersion: potluck.dev/v1alpha1\nmetadata: {name: bad}\n', /kind/iu],
        ['an unknown kind', 'apiVersion: potluck.dev/v1alpha1\nkind: Instanze\nmetadata: {name: bad}\n', /Instanze/u],
        ['an unknown field', manifest({ imagee: 'x' }), /unknown field "spec\.imagee"/u],
        ['a wrong type', manifest({ image: 5 }), /spec\.image/u],
        ['a wrong choice', manifest({ powerState: 'Asleep' }), /spec\.powerState: Unsupported value: "Asleep"/u],
        [
          'an impossible quantity',
          manifest({ resources: { requests: { cpu: 'many', memory: '1Gi', disk: '1Gi' } } }),
          /spec\.resources\.requests.*many/u,
        ],
        [
          'a place off the earth',
          manifest({ placement: { near: { latitude: 5, longitude: 181, maxDistanceKm: 5 } } }),
          /longitude must be/u,
        ],
        ['a bad name', manifest({}, { name: 'Bad Name' }), /metadata\.name: Invalid value: "Bad Name"/u],
        ['a bad label', manifest({}, { name: 'bad', labels: { 'a b': 'x' } }), /metadata\.labels: Invalid value: "a b"/u],
        ['a long variable', manifest({ env: [{ name: 'A', value: 'x'.repeat(1_000_000) }] }), /spec\.env\[0\]\.value: Too long/u],
        ['2 MB, which kubectl sends twice over', manifest({ env: [{ name: 'A', value: 'x'.repeat(2_000_000) }] }), /limit is 3145728/u],
        [
          'no such namespace',
          JSON.stringify({ ...instance('bad'), metadata: { name: 'bad', namespace: 'none' } }),
          /namespaces "none" not found/u,
        ],
      ];
      for (const [what, text, message] of wrong) {
        const { code, stderr, stdout } = await api.kubectl(['apply', '-f', '-'], text);
        assert.equal(code, 1, `${what}: ${stdout}`);
        assert.match(stderr, message, what);
      }
    });

    afterEach(async () => {
      assert.equal(await kubectl('get', 'instances', '-o', 'name'), '', 'something was stored');
    });

    async function refuses(body: unknown, code: number, message: RegExp): Promise<void> {
      const headers = { 'content-type': 'application/json' };
      const answer = await send(`${instancesPath}?fieldValidation=Strict`, {
        method: 'POST',
        headers,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      assert.match(String(answer.json?.['message']), message);
      assert.equal(answer.code, code);
    }
  });

  describe('at its start and its end', () => {
    it('ends watches cleanly when it stops, and when it starts has everything again but the past', async () => {
      await post(instancesPath, instance('kept'));
      const events = linesOf(await openRequest(`${api.url}${instancesPath}?watch=1`, admin));
      assert.deepEqual(await typeAndName(events), ['ADDED', 'kept']);
      const rest = events.next();
      await api.restart();
      assert.equal((await rest).done, true);
      assert.equal(await kubectl('get', 'instance', 'kept', '-o', 'name'), 'instance.potluck.dev/kept\n');
      await kubectl('delete', 'instance', 'kept');
      const forgotten = linesOf(await openRequest(`${api.url}${instancesPath}?watch=1&resourceVersion=1&timeoutSeconds=3`, admin));
      const { value } = await forgotten.next();
      assert.equal(value?.type, 'ERROR');
      assert.equal(value.object.code, 410);
    });

    it('stops within its grace although connections never begin to speak', async () => {
      const { port } = new URL(api.url);
      const silent = connectTcp(Number(port), '127.0.0.1').on('error', () => undefined);
      await once(silent, 'connect');
      const startedAt = performance.now();
      await api.restart();
      const seconds = (performance.now() - startedAt) / 1000;
      assert.ok(seconds < 9, `it took ${seconds} s`);
      silent.destroy();
    });

    it('says which port is taken', async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const options = { etcd: { endpoints: [api.etcd.endpoint] }, home: join(api.home, 'second'), logger: silentLogger };
      const start = startApiServer({ ...options, listen: { host: '127.0.0.1', port } });
      await assert.rejects(start, { code: 'PLK001', message: `port ${port} on 127.0.0.1 is in use` });
      other.close();
    });

    it('says that etcd does not answer', async () => {
      const options = { home: join(api.home, 'third'), logger: silentLogger, listen: { host: '127.0.0.1', port: 0 } };
      const start = startApiServer({ ...options, etcd: { endpoints: ['http://127.0.0.1:1'] }, etcdTimeoutMs: 500 });
      await assert.rejects(start, { code: 'PLK008', message: /etcd at http:\/\/127\.0\.0\.1:1 does not answer/u });
    });

    it('is not ready while etcd is away, and says so on every write, but lives', async () => {
      await api.etcd.kill();
      assert.equal((await send('/readyz')).code, 500);
      assert.equal((await send('/livez')).code, 200);
      const refused = await post(instancesPath, instance('lost'));
      assert.ok(refused.code === 503 || refused.code === 504, refused.body.toString());
      await api.etcd.restart();
      await eventually(() => kubectl('get', 'namespace', 'default'), { timeoutMs: 20_000, what: 'the API to serve again' });
    });
  });
});

function succeeded(args: readonly string[], { code, stdout, stderr }: KubectlResult): string {
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

interface WatchLine {
  type: string;
  object: {
    code?: number;
    metadata: { name?: string; annotations?: Record<string, string> };
    columnDefinitions?: { name: string }[] | null;
    rows?: { cells: unknown[] }[];
  };
}

async function* linesOf(incoming: IncomingMessage): AsyncGenerator<WatchLine, undefined> {
  for await (const line of createInterface({ input: incoming })) yield JSON.parse(line) as WatchLine;
}

async function typeAndName(events: AsyncGenerator<WatchLine, undefined>): Promise<(string | undefined)[]> {
  const { value } = await events.next();
  return [value?.type, value?.object.metadata.name];
}
