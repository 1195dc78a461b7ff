/** Who may do what, over a real etcd, as the real kubectl and plain HTTPS see it. */
import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPki } from '../../apiserver/access/pki.ts';
import type { KubectlResult, TestApiServer } from '../support/api-server.ts';
import { runKubectl, startTestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import type { Credentials, RawAnswer, RawRequest } from '../support/https-request.ts';
import { openRequest, rawRequest, readCredentials } from '../support/https-request.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const authorization = '/apis/authorization.k8s.io/v1';

describe('access', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let admin: Required<Credentials>;
  const people = new Map<string, Credentials>();

  before(async () => {
    api = await startTestApiServer();
    admin = await readCredentials(api.kubeconfigPath);
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: ['127.0.0.1'], now: () => Date.now() });
    for (const name of ['ann', 'bob', 'carol', 'dora', 'eve']) {
      const pair = await pki.issueClientCertificate({ commonName: name, organizations: ['staff'], lifetimeMs: 3_600_000 });
      people.set(name, { ca: admin.ca, cert: Buffer.from(pair.certPem), key: Buffer.from(pair.keyPem) });
    }
    for (const name of ['red', 'blue']) await kubectl('create', 'namespace', name);
  });
  after(() => api.stop());

  const as = (name: string): Credentials => {
    const credentials = people.get(name);
    assert.ok(credentials, name);
    return credentials;
  };
  const send = (path: string, raw: RawRequest = {}, credentials: Credentials = admin): Promise<RawAnswer> =>
    rawRequest(`${api.url}${path}`, credentials, raw);
  const post = (path: string, body: unknown, credentials: Credentials = admin, headers: Record<string, string> = {}): Promise<RawAnswer> =>
    send(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }, credentials);
  const kubectl = async (...args: string[]): Promise<string> => succeeded(args, await api.kubectl(args));
  const messageOf = (answer: RawAnswer): string => String(answer.json?.['message']);

  /** Until the bindings that were just made are in force. */
  const untilAllowed = (path: string, credentials: Credentials): Promise<RawAnswer> =>
    eventually(
      async () => {
        const answer = await send(path, {}, credentials);
        assert.notEqual(answer.code, 403, messageOf(answer));
        return answer;
      },
      { timeoutMs: 1_000, intervalMs: 5, what: `${path} to be allowed` },
    );

  describe('by roles', () => {
    const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
    const read = ['get', 'list', 'watch'];
    /** Each with what is done to it, in each namespace. */
    const resources: Record<string, string> = {
      configmaps: '/api/v1',
      secrets: '/api/v1',
      serviceaccounts: '/api/v1',
      roles: rbac,
      rolebindings: rbac,
      instances: '/apis/potluck.dev/v1alpha1',
      'instances/status': '/apis/potluck.dev/v1alpha1',
    };
    /** Written by hand: user, namespace, resource, verbs. All else is refused. */
    const allowed: [string, string, string, readonly string[]][] = [
      ['ann', 'red', 'configmaps', verbs],
      ['ann', 'red', 'secrets', verbs],
      ['ann', 'red', 'serviceaccounts', verbs],
      ['ann', 'red', 'instances', verbs],
      ['ann', 'red', 'instances/status', ['get']],
      ['bob', 'red', 'configmaps', read],
      ['bob', 'red', 'serviceaccounts', read],
      ['bob', 'red', 'instances', read],
      ['bob', 'red', 'instances/status', ['get']],
      ['bob', 'blue', 'configmaps', read],
      ['bob', 'blue', 'serviceaccounts', read],
      ['bob', 'blue', 'instances', read],
      ['bob', 'blue', 'instances/status', ['get']],
      ['dora', 'blue', 'secrets', ['get', 'delete']],
      ['dora', 'blue', 'instances/status', ['get', 'update', 'patch']],
      ['dora', 'blue', 'configmaps', ['list']],
    ];

    const requestFor = (verb: string, namespace: string, resource: string): [string, RawRequest] => {
      const [plural = '', subresource] = resource.split('/');
      const collection = `${resources[resource] ?? ''}/namespaces/${namespace}/${plural}`;
      const object = `${collection}/x${subresource === undefined ? '' : `/${subresource}`}`;
      const body = { headers: { 'content-type': 'application/json' }, body: '{}' };
      switch (verb) {
        case 'get':
          return [object, {}];
        case 'list':
          return [collection, {}];
        case 'watch':
          return [`${collection}?watch=1&timeoutSeconds=1`, {}];
        case 'create':
          return [`${collection}?dryRun=All`, { method: 'POST', ...body }];
        case 'update':
          return [`${object}?dryRun=All`, { method: 'PUT', ...body }];
        case 'patch':
          return [`${object}?dryRun=All`, { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' }, body: '{}' }];
        case 'delete':
          return [`${object}?dryRun=All`, { method: 'DELETE' }];
        default:
          return [`${collection}?dryRun=All`, { method: 'DELETE' }];
      }
    };

    before(async () => {
      await kubectl('create', 'rolebinding', 'ann-edits', '-n', 'red', '--clusterrole=edit', '--user=ann');
      await kubectl('create', 'clusterrolebinding', 'bob-views', '--clusterrole=view', '--user=bob');
      const role = ['create', 'role', 'narrow', '-n', 'blue'];
      await kubectl(...role, '--verb=get,delete', '--resource=secrets', '--resource-name=x');
      const rules = [
        { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'delete'], resourceNames: ['x'] },
        { apiGroups: ['potluck.dev'], resources: ['*/status'], verbs: ['get', 'update', 'patch'] },
        { apiGroups: [''], resources: ['configmaps'], verbs: ['list'] },
      ];
      await kubectl('patch', 'role', 'narrow', '-n', 'blue', '--type=merge', '-p', JSON.stringify({ rules }));
      await kubectl('create', 'rolebinding', 'dora', '-n', 'blue', '--role=narrow', '--user=dora');
      await untilAllowed('/api/v1/namespaces/blue/configmaps', as('dora'));
    });

    for (const user of ['ann', 'bob', 'carol', 'dora']) {
      it(`lets ${user} do what is listed for them, and nothing else`, async () => {
        for (const namespace of ['red', 'blue']) {
          for (const resource of Object.keys(resources)) {
            const granted = allowed.find(([who, where, what]) => who === user && where === namespace && what === resource)?.[3] ?? [];
            for (const verb of resource.includes('/') ? ['get', 'update', 'patch'] : verbs) {
              const [path, request] = requestFor(verb, namespace, resource);
              const { statusCode = 0 } = await openedAndClosed(`${api.url}${path}`, as(user), request);
              assert.equal(statusCode === 403, !granted.includes(verb), `${user} ${verb} ${resource} in ${namespace}: ${statusCode}`);
            }
          }
        }
      });
    }

    it('knows one name from another, also in a field selector', async () => {
      assert.equal((await send('/api/v1/namespaces/blue/secrets/x', {}, as('dora'))).code, 404);
      assert.equal(
        messageOf(await send('/api/v1/namespaces/blue/secrets/y', {}, as('dora'))),
        'secrets "y" is forbidden: User "dora" cannot get resource "secrets" in API group "" in the namespace "blue"',
      );
      await kubectl('create', 'role', 'watcher', '-n', 'blue', '--verb=list', '--resource=serviceaccounts', '--resource-name=one');
      await kubectl('create', 'rolebinding', 'watcher', '-n', 'blue', '--role=watcher', '--user=carol');
      await untilAllowed('/api/v1/namespaces/blue/serviceaccounts?fieldSelector=metadata.name=one', as('carol'));
      assert.equal((await send('/api/v1/namespaces/blue/serviceaccounts', {}, as('carol'))).code, 403);
    });

    it('gives and takes paths that are no resources', async () => {
      assert.equal((await send('/metrics', {}, as('carol'))).code, 403);
      await kubectl('create', 'clusterrole', 'metrics', '--verb=get', '--non-resource-url=/met*');
      await kubectl('create', 'clusterrolebinding', 'metrics', '--clusterrole=metrics', '--group=staff');
      await untilAllowed('/metrics', as('carol'));
      await kubectl('delete', 'clusterrolebinding', 'metrics');
      await eventually(async () => assert.equal((await send('/metrics', {}, as('carol'))).code, 403), {
        timeoutMs: 1_000,
        intervalMs: 5,
        what: 'the right to be gone',
      });
    });

    it('tells of a role that is not there', async () => {
      await kubectl('create', 'clusterrolebinding', 'dangling', '--clusterrole=gone', '--user=eve');
      await eventually(
        async () => {
          assert.equal(
            messageOf(await send('/api/v1/namespaces', {}, as('eve'))),
            'namespaces is forbidden: User "eve" cannot list resource "namespaces" in API group "" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
          );
        },
        { timeoutMs: 1_000, intervalMs: 5, what: 'the binding to be known' },
      );
      await kubectl('delete', 'clusterrolebinding', 'dangling');
    });

    it('gathers the rules of ClusterRoles by their labels, through several levels, and lets them go again', async () => {
      const rulesOf = (name: string): Promise<string> => kubectl('get', 'clusterrole', name, '-o', 'jsonpath={.rules}');
      await kubectl('create', 'clusterrole', 'cups', '--verb=get', '--resource=instances.potluck.dev', '--resource-name=cup-of-tea');
      await kubectl('label', 'clusterrole', 'cups', 'rbac.authorization.k8s.io/aggregate-to-view=true');
      const has = async (expected: boolean): Promise<void> => {
        for (const name of ['view', 'edit', 'admin']) assert.equal((await rulesOf(name)).includes('cup-of-tea'), expected, name);
      };
      await eventually(() => has(true), { timeoutMs: 5_000, what: 'the rules to be gathered' });
      await kubectl('delete', 'clusterrole', 'cups');
      await eventually(() => has(false), { timeoutMs: 5_000, what: 'the rules to be gone' });
    });

    it('refuses what is no role and no binding, with Kubernetes’ texts', async () => {
      const refused = async (resource: string, body: object, message: string): Promise<void> => {
        const answer = await post(`${rbac}/${resource}`, { metadata: { name: 'bad' }, ...body });
        assert.equal(answer.code, 422);
        assert.equal(messageOf(answer).replace(/^.* is invalid: /u, ''), message);
      };
      await refused(
        'clusterroles',
        { rules: [{ apiGroups: [''], resources: ['pods'] }] },
        'rules[0].verbs: Required value: verbs must contain at least one value',
      );
      await refused(
        'namespaces/red/roles',
        { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] },
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
      );
      await refused(
        'clusterrolebindings',
        { roleRef: { kind: 'Role', name: 'x' } },
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
      );
      const subjects = [{ kind: 'ServiceAccount', name: 'a' }];
      await refused(
        'clusterrolebindings',
        { roleRef: { kind: 'ClusterRole', name: 'x' }, subjects },
        'subjects[0].namespace: Required value',
      );
      const change = JSON.stringify({ roleRef: { name: 'other' } });
      const changed = await api.kubectl(['patch', 'clusterrolebinding', 'bob-views', '--type=merge', '-p', change]);
      assert.match(changed.stderr, /cannot change roleRef/u);
    });
  });

  describe('to grant access', () => {
    before(async () => {
      await kubectl('create', 'rolebinding', 'eve-admin', '-n', 'red', '--clusterrole=admin', '--user=eve');
      await untilAllowed(`${rbac}/namespaces/red/roles`, as('eve'));
    });

    const role = (name: string, ...rules: object[]): object => ({ metadata: { name }, rules });
    const secretsRule = { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list'] };
    const endpointsRule = { apiGroups: [''], resources: ['endpoints', 'endpoints/log'], verbs: ['get', 'list'] };
    const binding = (name: string, roleName: string, kind = 'ClusterRole'): object => ({
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: roleName },
      subjects: [{ kind: 'User', name: 'eve' }],
    });

    it('is given for what one holds, refused for more, with what is missing', async () => {
      assert.equal((await post(`${rbac}/namespaces/red/roles`, role('own', secretsRule), as('eve'))).code, 201);
      const refused = await post(`${rbac}/namespaces/red/roles`, role('more', secretsRule, endpointsRule), as('eve'));
      assert.deepEqual(refused.json, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: [
          'roles.rbac.authorization.k8s.io "more" is forbidden: user "eve" (groups=["staff" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:',
          '{APIGroups:[""], Resources:["endpoints"], Verbs:["get" "list"]}',
          '{APIGroups:[""], Resources:["endpoints/log"], Verbs:["get" "list"]}',
        ].join('\n'),
        reason: 'Forbidden',
        details: { name: 'more', group: 'rbac.authorization.k8s.io', kind: 'roles' },
        code: 403,
      });
      const patch = {
        method: 'PATCH',
        headers: { 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify({ rules: [endpointsRule] }),
      };
      const patched = await send(`${rbac}/namespaces/red/roles/own`, patch, as('eve'));
      assert.match(messageOf(patched), /attempting to grant RBAC permissions not currently held/u);
      assert.equal((await post(`${rbac}/namespaces/red/roles?dryRun=All`, role('more', endpointsRule), as('eve'))).code, 403);
    });

    it('does not let a role be bound that holds more', async () => {
      assert.equal((await post(`${rbac}/namespaces/red/rolebindings`, binding('own', 'own', 'Role'), as('eve'))).code, 201);
      const refused = await post(`${rbac}/namespaces/red/rolebindings`, binding('root', 'cluster-admin'), as('eve'));
      assert.equal(refused.code, 403);
      assert.match(
        messageOf(refused),
        /^rolebindings\.rbac\.authorization\.k8s\.io "root" is forbidden: user "eve" .*:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}\n\{NonResourceURLs:\["\*"\], Verbs:\["\*"\]\}$/u,
      );
      assert.equal((await post(`${rbac}/namespaces/blue/rolebindings`, binding('own', 'view'), as('eve'))).code, 403);
      const absent = await post(`${rbac}/namespaces/red/rolebindings`, binding('none', 'none'), as('eve'));
      assert.deepEqual([absent.code, messageOf(absent)], [404, 'clusterroles.rbac.authorization.k8s.io "none" not found']);
    });

    it('takes the verbs bind and escalate for holding it', async () => {
      await kubectl('create', 'clusterrole', 'binder', '--verb=bind', '--resource=clusterroles', '--resource-name=cluster-admin');
      const escalate = { rules: [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['escalate'] }] };
      await post(`${rbac}/namespaces/red/roles`, { metadata: { name: 'escalator' }, ...escalate });
      await kubectl('create', 'rolebinding', 'binder', '-n', 'red', '--clusterrole=binder', '--user=eve');
      await kubectl('create', 'rolebinding', 'escalator', '-n', 'red', '--role=escalator', '--user=eve');
      const roles = `${rbac}/namespaces/red/roles?dryRun=All`;
      const bindings = `${rbac}/namespaces/red/rolebindings?dryRun=All`;
      const both = async (): Promise<void> => {
        assert.equal((await post(roles, role('any', endpointsRule), as('eve'))).code, 201);
        assert.equal((await post(bindings, binding('root', 'cluster-admin'), as('eve'))).code, 201);
      };
      await eventually(both, { timeoutMs: 1_000, intervalMs: 5, what: 'the verbs to count' });
      assert.equal((await post(bindings, binding('ctl', 'system:potluck-controller'), as('eve'))).code, 403);
      await kubectl('delete', 'rolebinding', 'binder', 'escalator', '-n', 'red');
    });

    it('keeps aggregation to those who hold everything', async () => {
      const rules = [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], verbs: ['create', 'update', 'get'] }];
      await post(`${rbac}/clusterroles`, { metadata: { name: 'role-maker' }, rules });
      await kubectl('create', 'clusterrolebinding', 'role-maker', '--clusterrole=role-maker', '--user=dora');
      await untilAllowed(`${rbac}/clusterroles/edit`, as('dora'));
      const aggregationRule = { clusterRoleSelectors: [{ matchLabels: {} }] };
      assert.equal(
        messageOf(await post(`${rbac}/clusterroles`, { metadata: { name: 'all' }, aggregationRule }, as('dora'))),
        'clusterroles.rbac.authorization.k8s.io "all" is forbidden: must have cluster-admin privileges to use the aggregationRule',
      );
    });
  });

  describe('by tokens', () => {
    const tokenPath = '/api/v1/namespaces/red/serviceaccounts/bot/token';
    const bearer = (token: string): RawRequest => ({ headers: { authorization: `Bearer ${token}` } });
    const nobody = (): Credentials => ({ ca: admin.ca });

    before(async () => {
      await kubectl('create', 'serviceaccount', 'bot', '-n', 'red');
      await kubectl('create', 'rolebinding', 'bot', '-n', 'red', '--clusterrole=view', '--serviceaccount=red:bot');
    });

    it('lets a program in that has one, until its ServiceAccount goes', async () => {
      const token = (await kubectl('create', 'token', 'bot', '-n', 'red', '--duration=20m')).trim();
      const cluster = { server: api.url, 'certificate-authority-data': admin.ca.toString('base64') };
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster }],
        users: [{ name: 'u', user: { token } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'red' } }],
        'current-context': 'x',
      };
      const kubeconfigPath = join(api.home, 'bot.kubeconfig');
      await writeFile(kubeconfigPath, JSON.stringify(config));
      const bot = (...args: string[]): Promise<KubectlResult> => runKubectl({ kubectl: 'kubectl', home: api.home, kubeconfigPath }, args);
      const whoami = (await bot('auth', 'whoami')).stdout;
      assert.match(
        whoami,
        /Username +system:serviceaccount:red:bot\nUID +[0-9a-f-]{36}\nGroups +\[system:serviceaccounts system:serviceaccounts:red system:authenticated\]/u,
      );
      assert.equal((await bot('get', 'configmaps')).code, 0);
      assert.match(
        (await bot('get', 'secrets')).stderr,
        /User "system:serviceaccount:red:bot" cannot list resource "secrets" in API group "" in the namespace "red"/u,
      );
      await kubectl('delete', 'serviceaccount', 'bot', '-n', 'red');
      assert.equal((await send('/api/v1/namespaces/red/configmaps', bearer(token), nobody())).code, 401);
      await kubectl('create', 'serviceaccount', 'bot', '-n', 'red');
      assert.equal((await send('/api/v1/namespaces/red/configmaps', bearer(token), nobody())).code, 401);
      assert.equal((await stat(join(api.home, 'pki/service-account.key'))).mode & 0o77, 0);
    });

    it('are for their audience, and reviewed for whoever may ask', async () => {
      const asked = await post(tokenPath, { spec: { audiences: ['elsewhere'], expirationSeconds: 600 } });
      assert.equal(asked.code, 201);
      const { token } = asked.json?.['status'] as { token: string };
      assert.equal((await send('/api', bearer(token), nobody())).code, 401);
      const reviews = '/apis/authentication.k8s.io/v1/tokenreviews';
      const review = await post(reviews, { spec: { token, audiences: ['elsewhere', 'third'] } });
      const status = review.json?.['status'] as { authenticated: boolean; audiences: string[]; user: { username: string } };
      assert.deepEqual(
        [status.authenticated, status.audiences, status.user.username],
        [true, ['elsewhere'], 'system:serviceaccount:red:bot'],
      );
      const bad = await post(reviews, { spec: { token: `${token}x` } });
      assert.deepEqual(bad.json?.['status'], { user: {}, error: 'invalid bearer token' });
      assert.equal((await post(reviews, { spec: { token } }, as('carol'))).code, 403);
    });

    it('are bound to a secret when that is wished, and to nothing that is not there', async () => {
      await kubectl('create', 'secret', 'generic', 'leash', '-n', 'red');
      const boundObjectRef = { kind: 'Secret', apiVersion: 'v1', name: 'leash' };
      const { token } = (await post(tokenPath, { spec: { boundObjectRef } })).json?.['status'] as { token: string };
      assert.equal((await send('/api', bearer(token), nobody())).code, 200);
      await kubectl('delete', 'secret', 'leash', '-n', 'red');
      assert.equal((await send('/api', bearer(token), nobody())).code, 401);
      assert.equal((await post(tokenPath, { spec: { boundObjectRef } })).code, 404);
      const short = await api.kubectl(['create', 'token', 'bot', '-n', 'red', '--duration=5m']);
      assert.match(short.stderr, /spec\.expirationSeconds: Invalid value: 300: may not specify a duration less than 10 minutes/u);
      assert.equal((await post('/api/v1/namespaces/red/serviceaccounts/none/token', {})).code, 404);
      assert.equal((await post(tokenPath, {}, as('carol'))).code, 403);
    });
  });

  describe('in another’s name', () => {
    const me = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const userInfo = (answer: RawAnswer): unknown => (answer.json?.['status'] as { userInfo: unknown }).userInfo;

    it('is a right of its own, for each part of the identity', async () => {
      const asAnn = { 'impersonate-user': 'ann', 'impersonate-group': 'board' };
      const refused = await post(me, {}, as('carol'), asAnn);
      assert.equal(
        messageOf(refused),
        'users "ann" is forbidden: User "carol" cannot impersonate resource "users" in API group "" at the cluster scope',
      );
      await kubectl('create', 'clusterrole', 'mimic', '--verb=impersonate', '--resource=users', '--resource-name=ann');
      await kubectl('create', 'clusterrolebinding', 'mimic', '--clusterrole=mimic', '--user=carol');
      const onlyUser = async (): Promise<void> => {
        const answer = await post(me, {}, as('carol'), { 'impersonate-user': 'ann' });
        assert.deepEqual(userInfo(answer), { username: 'ann', groups: ['system:authenticated'] });
      };
      await eventually(onlyUser, { timeoutMs: 1_000, intervalMs: 5, what: 'the right to impersonate' });
      const group = messageOf(await post(me, {}, as('carol'), asAnn));
      assert.equal(
        group,
        'groups "board" is forbidden: User "carol" cannot impersonate resource "groups" in API group "" at the cluster scope',
      );
      const masters = await post(me, {}, as('carol'), { 'impersonate-user': 'ann', 'impersonate-group': 'system:masters' });
      assert.equal(masters.code, 403);
    });

    it('carries groups, uid and more, and leaves nothing of the sender’s', async () => {
      const answer = await post(me, {}, admin, {
        'impersonate-user': 'zoe',
        'impersonate-uid': 'u1',
        'impersonate-group': 'board',
        'impersonate-extra-example.com%2Fteam': 'blue',
      });
      assert.deepEqual(userInfo(answer), {
        username: 'zoe',
        uid: 'u1',
        groups: ['board', 'system:authenticated'],
        extra: { 'example.com/team': ['blue'] },
      });
      assert.equal((await post(me, {}, admin, { 'impersonate-group': 'board' })).code, 400);
      const whoami = await kubectl('auth', 'whoami', '--as=zoe', '--as-group=a', '--as-group=b');
      assert.match(whoami, /Username +zoe\nGroups +\[a b system:authenticated\]/u);
    });
  });

  describe('as a question', () => {
    it('is answered to kubectl auth can-i and whoami', async () => {
      assert.equal(await kubectl('auth', 'can-i', 'create', 'instances'), 'yes\n');
      assert.equal((await api.kubectl(['auth', 'can-i', 'create', 'instances', '-n', 'red', '--as=bob'])).stdout, 'no\n');
      assert.equal(await kubectl('auth', 'can-i', 'list', 'instances', '-n', 'red', '--as=bob'), 'yes\n');
      assert.equal(await kubectl('auth', 'can-i', 'update', 'instances', '--subresource=status', '-n', 'blue', '--as=dora'), 'yes\n');
      assert.equal(await kubectl('auth', 'can-i', 'get', '/healthz', '--as=carol'), 'yes\n');
      assert.equal((await api.kubectl(['auth', 'can-i', 'get', '/metrics', '--as=carol'])).stdout, 'no\n');
      assert.match(
        await kubectl('auth', 'whoami'),
        /^ATTRIBUTE +VALUE\nUsername +potluck-admin\nGroups +\[system:masters system:authenticated\]\n$/u,
      );
      const list = await kubectl('auth', 'can-i', '--list', '-n', 'blue', '--as=dora');
      assert.match(list, /\nsecrets +\[\] +\[x\] +\[get delete\]\n/u);
      assert.match(list, /\n\*\.potluck\.dev\/status +\[\] +\[\] +\[get update patch\]\n/u);
      assert.match(list, /\nselfsubjectaccessreviews\.authorization\.k8s\.io +\[\] +\[\] +\[create\]\n/u);
      assert.match(list, / \[\/apis\/\*\] +\[\] +\[get\]\n/u);
    });

    it('is answered about others to those who may ask, with why', async () => {
      const resourceAttributes = { namespace: 'red', verb: 'list', group: 'potluck.dev', resource: 'instances' };
      const answer = await post(`${authorization}/subjectaccessreviews`, { spec: { user: 'bob', resourceAttributes } });
      assert.equal(answer.code, 201);
      const reason = 'RBAC: allowed by ClusterRoleBinding "bob-views" of ClusterRole "view" to User "bob"';
      assert.deepEqual(answer.json?.['status'], { allowed: true, reason });
      const spec = { user: 'carol', resourceAttributes };
      const local = await post(`${authorization}/namespaces/red/localsubjectaccessreviews`, { spec });
      assert.deepEqual(local.json?.['status'], { allowed: false });
      assert.equal((await post(`${authorization}/namespaces/blue/localsubjectaccessreviews`, { spec })).code, 400);
      assert.equal((await post(`${authorization}/subjectaccessreviews`, { spec }, as('carol'))).code, 403);
      assert.match(
        messageOf(await post(`${authorization}/subjectaccessreviews`, { spec: { resourceAttributes } })),
        /at least one of user or group/u,
      );
      assert.match(
        messageOf(await post(`${authorization}/selfsubjectaccessreviews`, { spec: {} })),
        /exactly one of nonResourceAttributes or resourceAttributes/u,
      );
      assert.equal((await send(`${authorization}/selfsubjectaccessreviews`)).code, 405);
    });
  });

  describe('at the next start', () => {
    it('has the roles that come with the server again, and leaves what was added or taken over', async () => {
      await kubectl('delete', 'clusterrolebinding', 'system:discovery');
      await kubectl('patch', 'clusterrole', 'system:basic-user', '--type=merge', '-p', '{"rules":[]}');
      await kubectl('annotate', '--overwrite', 'clusterrole', 'system:monitoring', 'rbac.authorization.kubernetes.io/autoupdate=false');
      await kubectl('patch', 'clusterrole', 'system:monitoring', '--type=merge', '-p', '{"rules":null}');
      await api.restart();
      assert.equal((await send('/apis', {}, as('carol'))).code, 200);
      assert.match(await kubectl('get', 'clusterrole', 'system:basic-user', '-o', 'jsonpath={.rules}'), /selfsubjectreviews/u);
      assert.equal(await kubectl('get', 'clusterrole', 'system:monitoring', '-o', 'jsonpath={.rules}'), '');
      assert.equal((await send('/api/v1/namespaces/red/configmaps', {}, as('bob'))).code, 200);
    });

    it('has no more what earlier versions gave to providers, unless somebody took it over', async () => {
      await kubectl('create', 'clusterrole', 'system:providers', '--verb=get,list,watch', '--resource=instances.potluck.dev');
      await kubectl('create', 'clusterrolebinding', 'system:providers', '--clusterrole=system:providers', '--group=system:providers');
      const keep = 'rbac.authorization.kubernetes.io/autoupdate=false';
      await kubectl('create', 'role', 'system:provider-leases', '-n', 'potluck-provider-leases', '--verb=get', '--resource=leases');
      await kubectl('annotate', '-n', 'potluck-provider-leases', 'role', 'system:provider-leases', keep);
      await api.restart();
      const left = await kubectl('get', 'clusterroles,clusterrolebindings,roles', '-n', 'potluck-provider-leases', '-o', 'name');
      assert.doesNotMatch(left, /system:providers/u);
      assert.match(left, /role\.rbac\.authorization\.k8s\.io\/system:provider-leases/u);
    });
  });
});

/** Only how the answer begins: a watch does not end by itself at once. */
async function openedAndClosed(url: string, credentials: Credentials, request: RawRequest): Promise<{ statusCode?: number | undefined }> {
  const incoming = await openRequest(url, credentials, request);
  incoming.destroy();
  return incoming;
}

function succeeded(args: readonly string[], { code, stdout, stderr }: KubectlResult): string {
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}
