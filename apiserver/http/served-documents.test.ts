/** Discovery and OpenAPI over a catalogue of one custom resource and one built-in type. */
import assert from 'node:assert/strict';
import protobuf from 'protobufjs';
import type { ResourceCatalogue, ResourceDefinition, ResourceOperations } from '../registry/resource.ts';
import { statusSubresource } from '../registry/subresources.ts';
import type { Answer } from './answer.ts';
import { DiscoveryRoutes } from './discovery-routes.ts';
import { OpenApiRoutes } from './openapi-routes.ts';

const instance = {
  group: 'potluck.dev',
  version: 'v1alpha1',
  resource: 'instances',
  singular: 'instance',
  kind: 'Instance',
  listKind: 'InstanceList',
  namespaced: true,
  shortNames: ['inst'],
  categories: ['all'],
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  schema: {
    declared: {
      type: 'object',
      required: ['spec'],
      properties: {
        spec: {
          type: 'object',
          properties: {
            image: { type: 'string', description: 'Any image.', maxLength: 512 },
            port: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
            note: { type: 'string', nullable: true },
            free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            power: { type: 'string', enum: ['On', 'Off'], default: 'On' },
          },
        },
      },
    },
  },
  subresources: [statusSubresource],
  patchTypes: ['json', 'merge', 'apply'],
  printerColumns: [],
  selectableFields: new Map(),
  custom: true,
  storageVersionHash: 'abc=',
} as unknown as ResourceDefinition;
const configMap = {
  ...instance,
  group: '',
  version: 'v1',
  resource: 'configmaps',
  singular: 'configmap',
  kind: 'ConfigMap',
  listKind: 'ConfigMapList',
  shortNames: ['cm'],
  categories: [],
  subresources: [],
  patchTypes: ['json', 'merge', 'strategic', 'apply'],
  custom: false,
} satisfies ResourceDefinition;

class FakeCatalogue implements ResourceCatalogue {
  generation = 1;
  definitions = [configMap, instance];
  find(): undefined {
    return undefined;
  }
  all(): ResourceOperations[] {
    return this.definitions.map((definition) => ({ definition }) as ResourceOperations);
  }
}

const bodyOf = (answer: Answer | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(answer?.body ?? '').toString()) as Record<string, unknown>;
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

describe('discovery', () => {
  it('answers in the aggregated form, and 304 to who has it already', () => {
    const routes = new DiscoveryRoutes(new FakeCatalogue(), () => 'localhost:6443');
    const answer = routes.answer('/apis', { accept: aggregated });
    assert.equal(answer?.contentType, 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    const type = { group: 'potluck.dev', version: 'v1alpha1', kind: 'Instance' };
    assert.deepEqual(bodyOf(answer)['items'], [
      {
        metadata: { name: 'potluck.dev', creationTimestamp: null },
        versions: [
          {
            version: 'v1alpha1',
            resources: [
              {
                resource: 'instances',
                responseKind: type,
                scope: 'Namespaced',
                singularResource: 'instance',
                verbs: instance.verbs,
                shortNames: ['inst'],
                categories: ['all'],
                subresources: [{ subresource: 'status', responseKind: type, verbs: ['get', 'patch', 'update'] }],
              },
            ],
            freshness: 'Current',
          },
        ],
      },
    ]);
    const again = routes.answer('/apis', { accept: aggregated, 'if-none-match': answer.headers?.['etag'] });
    assert.equal(again?.code, 304);
  });

  it('answers in the legacy forms, and 404 for what is not served', () => {
    const routes = new DiscoveryRoutes(new FakeCatalogue(), () => 'localhost:6443');
    assert.deepEqual(bodyOf(routes.answer('/api/v1', {}))['resources'], [
      {
        name: 'configmaps',
        singularName: 'configmap',
        namespaced: true,
        kind: 'ConfigMap',
        verbs: configMap.verbs,
        shortNames: ['cm'],
        storageVersionHash: 'abc=',
      },
    ]);
    assert.equal((bodyOf(routes.answer('/apis/potluck.dev', {}))['preferredVersion'] as { version: string }).version, 'v1alpha1');
    assert.equal(bodyOf(routes.answer('/apis', { accept: 'application/json' }))['kind'], 'APIGroupList');
    assert.equal(routes.answer('/apis/nope.io', {})?.code, 404);
    assert.equal(routes.answer('/apis/potluck.dev/v9', {})?.code, 404);
    assert.equal(routes.answer('/apis/potluck.dev/v1alpha1/instances', {}), undefined);
  });

  it('shows a new kind as soon as the catalogue has it', () => {
    const catalogue = new FakeCatalogue();
    const routes = new DiscoveryRoutes(catalogue, () => 'localhost:6443');
    const before = routes.answer('/apis', { accept: aggregated });
    catalogue.definitions.push({ ...instance, resource: 'others', kind: 'Other' });
    catalogue.generation++;
    assert.notEqual(routes.answer('/apis', { accept: aggregated })?.headers?.['etag'], before?.headers?.['etag']);
  });
});

describe('OpenAPI', () => {
  const version3 = (routes: OpenApiRoutes, path: string): string => {
    const paths = bodyOf(routes.answer('/openapi/v3', new URLSearchParams(), {}))['paths'] as Record<string, { serverRelativeURL: string }>;
    return paths[path]?.serverRelativeURL ?? '';
  };
  const get = (routes: OpenApiRoutes, url: string): Answer | undefined => {
    const [path = '', query = ''] = url.split('?');
    return routes.answer(path, new URLSearchParams(query), {});
  };

  it('v3 has a document for each group version under the hash of its content, and sends old hashes on', () => {
    const catalogue = new FakeCatalogue();
    const routes = new OpenApiRoutes(catalogue);
    const url = version3(routes, 'apis/potluck.dev/v1alpha1');
    assert.match(url, /^\/openapi\/v3\/apis\/potluck\.dev\/v1alpha1\?hash=[0-9A-F]{128}$/u);
    assert.match(get(routes, url)?.headers?.['cache-control'] ?? '', /immutable/u);
    catalogue.definitions = [configMap, { ...instance, shortNames: [] }, { ...instance, resource: 'others', kind: 'Other' }];
    catalogue.generation++;
    const moved = get(routes, url);
    assert.equal(moved?.code, 301);
    assert.equal(moved.headers?.['location'], version3(routes, 'apis/potluck.dev/v1alpha1'));
  });

  it('v3 says for PATCH what kubectl looks for: the kind, dryRun, fieldValidation, and no strategic patch of custom resources', () => {
    const routes = new OpenApiRoutes(new FakeCatalogue());
    const document = bodyOf(get(routes, '/openapi/v3/apis/potluck.dev/v1alpha1'));
    const paths = document['paths'] as Record<string, { patch: { parameters: { name: string }[]; requestBody: { content: object } } }>;
    const patch = paths['/apis/potluck.dev/v1alpha1/namespaces/{namespace}/instances/{name}']!.patch;
    assert.deepEqual(
      patch.parameters.map((parameter) => parameter.name),
      ['dryRun', 'fieldManager', 'fieldValidation', 'force'],
    );
    assert.deepEqual(Object.keys(patch.requestBody.content), [
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/apply-patch+yaml',
    ]);
    const { schemas } = document['components'] as { schemas: Record<string, Record<string, unknown>> };
    assert.deepEqual(schemas['dev.potluck.v1alpha1.Instance']?.['x-kubernetes-group-version-kind'], [
      { group: 'potluck.dev', version: 'v1alpha1', kind: 'Instance' },
    ]);
    for (const [, reference = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/gu)) {
      assert.ok(schemas[reference] !== undefined, `${reference} is not defined`);
    }
  });

  it('v2 says nothing that would make an old client refuse what the server takes', () => {
    const routes = new OpenApiRoutes(new FakeCatalogue());
    const { definitions } = bodyOf(get(routes, '/openapi/v2')) as { definitions: Record<string, { properties: Record<string, unknown> }> };
    assert.deepEqual((definitions['dev.potluck.v1alpha1.Instance']!.properties['spec'] as { properties: unknown }).properties, {
      image: { type: 'string', description: 'Any image.', maxLength: 512 },
      port: { 'x-kubernetes-int-or-string': true },
      note: {},
      free: { 'x-kubernetes-preserve-unknown-fields': true },
      power: { type: 'string', enum: ['On', 'Off'], default: 'On' },
    });
  });

  it('v2 as protobuf carries definitions, references and extensions in gnostic’s fields', () => {
    const routes = new OpenApiRoutes(new FakeCatalogue());
    const accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    const answer = routes.answer('/openapi/v2', new URLSearchParams(), { accept });
    assert.equal(answer?.contentType, 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    // An independent, partial reading by field number.
    const reader = protobuf
      .parse(
        `syntax = "proto3"; message D { string swagger = 1; Defs defs = 9; } message Defs { repeated N n = 1; } message N { string name = 1; S s = 2; }
       message S { string ref = 1; Ps ps = 25; repeated V ext = 31; } message Ps { repeated N n = 1; } message V { string name = 1; A a = 2; } message A { string yaml = 2; }`,
        { keepCase: true },
      )
      .root.lookupType('D');
    interface Schema {
      ref?: string;
      ps?: { n: { name: string; s: Schema }[] };
      ext?: { name: string; a: { yaml: string } }[];
    }
    const document = reader.toObject(reader.decode(answer.body)) as { swagger: string; defs: { n: { name: string; s: Schema }[] } };
    assert.equal(document.swagger, '2.0');
    const schema = document.defs.n.find((each) => each.name === 'dev.potluck.v1alpha1.Instance')!.s;
    assert.equal(
      schema.ps?.n.find((each) => each.name === 'metadata')?.s.ref,
      '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
    );
    assert.equal(
      schema.ext?.find((each) => each.name === 'x-kubernetes-group-version-kind')?.a.yaml,
      '- group: potluck.dev\n  version: v1alpha1\n  kind: Instance\n',
    );
  });
});
