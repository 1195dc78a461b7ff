/** Members over a real API server, etcd and controller, as the real kubectl, the command line and plain HTTPS see them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { sshLines } from '../../api/ssh-key-fixtures.ts';
import { parseSshPublicKey } from '../../api/ssh-public-key.ts';
import type { Member } from '../../api/generated/member.ts';
import {
  clusterRoleBindings,
  members,
  namespaces,
  providers,
  resourceQuotas,
  roleBindings,
  secrets,
  serviceAccounts,
} from '../../api/resource-type.ts';
import type { ResourceType } from '../../api/resource-type.ts';
import { openTokenKey, signToken, tokenIssuer } from '../../apiserver/access/service-account-tokens.ts';
import { isNotFound } from '../../client/client.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startController } from '../../controller/reconcilers.ts';
import type { RunningController } from '../../controller/reconcilers.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { runKubectl, startTestApiServer } from '../support/api-server.ts';
import type { KubectlResult, TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { rawRequest, readCredentials } from '../support/https-request.ts';
import { instanceManifest } from '../support/manifests.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');
const bounds = { timeoutMs: 15_000, intervalMs: 50 };

describe('members', function () {
  this.timeout(60_000);
  let api: TestApiServer;
  let admin: KubeClient;
  let controllerClient: KubeClient;
  let controller: RunningController;

  before(async () => {
    api = await startTestApiServer();
    admin = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'potluck-test' });
    // With no more rights than it has in a pool.
    controllerClient = createClient({ kubeconfig: join(api.home, 'pki', 'controller.kubeconfig'), userAgent: 'potluck-test' });
    controller = await startController({ client: controllerClient, logger: silentLogger, identity: 'test', leaderElection: false });
  });
  after(async () => {
    await controller.stop();
    controllerClient.close();
    admin.close();
    await api.stop();
  });

  async function potluck(args: readonly string[], { kubeconfig = api.kubeconfigPath, input = '' } = {}): Promise<KubectlResult> {
    const child = spawn(process.execPath, [main, ...args, '--kubeconfig', kubeconfig], {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 40_000,
    });
    child.stdin.on('error', () => undefined).end(input);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode ?? -1, stdout, stderr };
  }

  async function succeeded(result: Promise<KubectlResult>): Promise<string> {
    const { code, stdout, stderr } = await result;
    assert.equal(code, 0, stderr + stdout);
    return stdout.trim();
  }

  async function failed(result: Promise<KubectlResult>, message: RegExp): Promise<void> {
    const { code, stdout, stderr } = await result;
    assert.notEqual(code, 0, stdout);
    assert.match(stderr, message);
  }

  /** Makes a member; answers kubectl as they use it, with a kubeconfig of their own. */
  async function addMember(name: string, ...flags: string[]): Promise<(args: string[], input?: string) => Promise<KubectlResult>> {
    const kubeconfig = await succeeded(potluck(['member', 'add', name, '--server', api.url, ...flags]));
    return kubectlOf(name, kubeconfig);
  }

  async function kubectlOf(name: string, kubeconfig: string): Promise<(args: string[], input?: string) => Promise<KubectlResult>> {
    const kubeconfigPath = join(api.home, `${name}-${Math.random().toString(36).slice(2)}.kubeconfig`);
    await writeFile(kubeconfigPath, kubeconfig, { mode: 0o600 });
    return (args, input) => runKubectl({ kubectl: 'kubectl', home: api.home, kubeconfigPath }, args, input);
  }

  const getMember = (name: string): Promise<Member> => admin.get(members, { name });

  async function member(name: string, spec: Member['spec'] = {}): Promise<Member> {
    await admin.create(members, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name }, spec });
    return untilReady(name);
  }

  const untilReady = (name: string, status = 'True'): Promise<Member> =>
    eventually(
      async () => {
        const found = await getMember(name);
        const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
        assert.equal(ready?.status, status, ready?.message);
        assert.equal(ready.observedGeneration, found.metadata.generation);
        return found;
      },
      { ...bounds, what: `${name} to be ready: ${status}` },
    );

  const untilGone = (type: ResourceType<never>, key: { name: string; namespace?: string }): Promise<void> =>
    eventually(
      async () => {
        await assert.rejects(admin.get(type, key), isNotFound);
      },
      { ...bounds, what: `${type.plural} ${key.name} to go` },
    );

  const roleOf = async (name: string): Promise<string> =>
    (await admin.get(roleBindings, { namespace: name, name: 'potluck:member' })).roleRef.name;
  const poolRolesOf = async (name: string): Promise<string[]> =>
    (await admin.list(clusterRoleBindings, { labelSelector: `potluck.dev/member=${name}` })).items
      .map(({ roleRef }) => roleRef.name)
      .sort();

  describe('are given', () => {
    it('a namespace, rights in it, a quota and an account, all of them theirs', async () => {
      const { metadata, status } = await member('ada', { sshKeys: [`${sshLines['ssh-ed25519']} ada@desk`], quota: { 'requests.cpu': 2 } });
      assert.equal(status?.namespace, 'ada');
      assert.deepEqual(
        status.sshKeys?.map(({ type, bits, comment }) => ({ type, bits, comment })),
        [{ type: 'ssh-ed25519', bits: 256, comment: 'ada@desk' }],
      );
      const namespace = await admin.get(namespaces, { name: 'ada' });
      const quota = await admin.get(resourceQuotas, { namespace: 'ada', name: 'potluck' });
      const account = await admin.get(serviceAccounts, { namespace: 'potluck-members', name: 'ada' });
      for (const object of [namespace, quota, account]) assert.equal(object.metadata.ownerReferences?.[0]?.uid, metadata.uid);
      assert.deepEqual(quota.spec?.hard, { 'requests.cpu': '2' });
      assert.equal(await roleOf('ada'), 'edit');
      assert.deepEqual(await poolRolesOf('ada'), ['potluck:lender']);
      const events = await succeeded(
        api.kubectl(['get', 'events', '--field-selector', 'involvedObject.name=ada', '-o', 'jsonpath={.items[*].reason}']),
      );
      assert.equal(events, 'Provisioned');
    });

    it('more and less, as their permissions and their quota change', async () => {
      await member('bea', { permissions: ['Lend'] });
      assert.equal(await roleOf('bea'), 'view');
      await admin.patch(members, { name: 'bea' }, { spec: { permissions: ['Use', 'Admin'], quota: { 'count/secrets': '3' } } });
      await untilReady('bea');
      assert.equal(await roleOf('bea'), 'edit');
      assert.deepEqual(await poolRolesOf('bea'), ['cluster-admin']);
      await admin.patch(members, { name: 'bea' }, { spec: { permissions: [] } });
      await untilReady('bea');
      assert.equal(await roleOf('bea'), 'view');
      assert.deepEqual(await poolRolesOf('bea'), []);
      const { spec } = await getMember('bea');
      const none = Object.fromEntries(Object.keys(spec.quota ?? {}).map((name) => [name, null]));
      await admin.patch(members, { name: 'bea' }, { spec: { quota: none } });
      await untilGone(resourceQuotas as ResourceType<never>, { namespace: 'bea', name: 'potluck' });
    });

    it('back what somebody changed or removed', async () => {
      const { metadata } = await member('cleo');
      const uidOf = async (): Promise<string | undefined> =>
        (await admin.get(serviceAccounts, { namespace: 'potluck-members', name: 'cleo' })).metadata.uid;
      const before = await uidOf();
      await admin.delete(roleBindings, { namespace: 'cleo', name: 'potluck:member' });
      await admin.delete(serviceAccounts, { namespace: 'potluck-members', name: 'cleo' });
      await admin.delete(clusterRoleBindings, { name: 'potluck:member:cleo:lend' });
      await admin.patch(resourceQuotas, { namespace: 'cleo', name: 'potluck' }, { spec: { hard: { 'requests.cpu': '999' } } });
      await eventually(
        async () => {
          assert.equal(await roleOf('cleo'), 'edit');
          assert.deepEqual(await poolRolesOf('cleo'), ['potluck:lender']);
          assert.notEqual(await uidOf(), before);
          const { spec, metadata: quota } = await admin.get(resourceQuotas, { namespace: 'cleo', name: 'potluck' });
          assert.deepEqual([spec?.hard?.['requests.cpu'], quota.ownerReferences?.[0]?.uid], ['16', metadata.uid]);
        },
        { ...bounds, what: 'everything to be put back' },
      );
      const binding = await admin.get(roleBindings, { namespace: 'cleo', name: 'potluck:member' });
      await admin.replace(roleBindings, {
        ...binding,
        subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:authenticated' }],
      });
      await eventually(
        async () => {
          const { subjects } = await admin.get(roleBindings, { namespace: 'cleo', name: 'potluck:member' });
          assert.deepEqual(subjects, [{ kind: 'ServiceAccount', name: 'cleo', namespace: 'potluck-members' }]);
        },
        { ...bounds, what: 'the subject to be put back' },
      );
    });

    it('nothing in a namespace that is another’s, until that is gone', async () => {
      await succeeded(api.kubectl(['create', 'namespace', 'dora']));
      await admin.create(members, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name: 'dora' }, spec: {} });
      const { status } = await untilReady('dora', 'False');
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      assert.equal(ready?.reason, 'NamespaceTaken');
      assert.match(ready.message, /there is a namespace dora already/);
      assert.equal(status?.namespace, undefined);
      assert.deepEqual((await admin.list(roleBindings, { namespace: 'dora' })).items, []);
      assert.deepEqual(await poolRolesOf('dora'), []);
      await failed(potluck(['member', 'add', 'dora']), /PLK010 there is a member dora already\. potluck member token create dora/);
      await succeeded(api.kubectl(['delete', 'namespace', 'dora']));
      await untilReady('dora');
      assert.equal(await roleOf('dora'), 'edit');
    });

    it('a reason where their quota is none that the API takes', async () => {
      await admin.create(members, {
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'Member',
        metadata: { name: 'emil' },
        spec: { quota: { 'no name': '1' } },
      });
      const { status } = await untilReady('emil', 'False');
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      assert.equal(ready?.reason, 'QuotaRefused');
      assert.match(ready.message, /^spec\.quota: .*no name/);
      await admin.patch(members, { name: 'emil' }, { spec: { quota: { 'no name': null, 'count/secrets': '1' } } });
      await untilReady('emil');
    });
  });

  describe('who are removed', () => {
    it('leave nothing behind, whatever they had', async () => {
      await addMember('finn', '--permissions', 'use,lend,admin');
      await admin.create(members, { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name: 'finn-two' }, spec: {} });
      await untilReady('finn-two');
      await succeeded(api.kubectl(['create', '-f', '-'], JSON.stringify(instanceManifest('job', { namespace: 'finn' }))));
      await eventually(
        async () => {
          const held = await succeeded(api.kubectl(['get', 'instance', 'job', '-n', 'finn', '-o', 'jsonpath={.metadata.finalizers}']));
          assert.match(held, /potluck\.dev\/container/);
        },
        { ...bounds, what: 'the instance to be held by its finalizer' },
      );
      await failed(
        potluck(['member', 'delete', 'finn']),
        /go:\n {2}the namespace finn .*\n {2}1 instances and their disks \(job\)\n {2}1 tokens\n.*PLK010 nobody can be asked.*--yes/s,
      );
      await succeeded(potluck(['member', 'delete', 'finn', '--yes']));
      await untilGone(members as ResourceType<never>, { name: 'finn' });
      await untilGone(serviceAccounts as ResourceType<never>, { namespace: 'potluck-members', name: 'finn' });
      await untilGone(namespaces as ResourceType<never>, { name: 'finn' });
      assert.deepEqual(await poolRolesOf('finn'), []);
      const left = await admin.list(secrets, { namespace: 'potluck-members', labelSelector: 'potluck.dev/member=finn' });
      assert.deepEqual(left.items, []);
      assert.equal(await roleOf('finn-two'), 'edit');
    });

    it('lose their access also where what they owned is to be left behind', async () => {
      const kubectl = await addMember('gus');
      await succeeded(kubectl(['get', 'providers']));
      await succeeded(api.kubectl(['delete', 'member', 'gus', '--cascade=orphan']));
      await untilGone(serviceAccounts as ResourceType<never>, { namespace: 'potluck-members', name: 'gus' });
      await failed(kubectl(['get', 'providers']), /Unauthorized|must be logged in/);
      assert.deepEqual(await poolRolesOf('gus'), []);
      await admin.get(namespaces, { name: 'gus' });
    });

    it('get a new account, and no old token, when they come back', async () => {
      const before = await addMember('hal');
      await succeeded(potluck(['member', 'delete', 'hal', '--yes']));
      await untilGone(namespaces as ResourceType<never>, { name: 'hal' });
      const after = await addMember('hal');
      await succeeded(after(['get', 'providers']));
      await failed(before(['get', 'providers']), /Unauthorized|must be logged in/);
    });
  });

  describe('at the command line', () => {
    it('are made with keys from a file, from standard input and as an argument; nothing but the kubeconfig is on standard output', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'potluck-members-'));
      try {
        const file = join(folder, 'keys');
        await writeFile(file, `# mine\n${sshLines['ssh-rsa']} one\n\n${sshLines['ecdsa-sha2-nistp256']}\r\n`);
        const args = ['member', 'add', 'ivy', '--ssh-key', file, '--ssh-key', '-', '--ssh-key', `${sshLines['ssh-ed25519']} three`];
        const { code, stdout, stderr } = await potluck(
          [...args, '--display-name', 'Ivy', '--email', 'ivy@example.org', '--token-ttl', '10m'],
          {
            input: `${sshLines['ecdsa-sha2-nistp384']} two\n`,
          },
        );
        assert.equal(code, 0, stderr);
        const config = JSON.parse(stdout) as {
          users: { name: string; user: { token: string } }[];
          contexts: { context: { namespace: string } }[];
        };
        assert.equal(config.contexts[0]?.context.namespace, 'ivy');
        assert.ok(!stderr.includes(config.users[0]?.user.token ?? 'none'));
        const { spec } = await getMember('ivy');
        assert.deepEqual(
          [spec.displayName, spec.email, spec.permissions, spec.sshKeys?.length],
          ['Ivy', 'ivy@example.org', ['Use', 'Lend'], 4],
        );
        await failed(potluck(['member', 'add', 'jo', '--ssh-key', file.replace('keys', 'none')]), /PLK010 --ssh-key: ENOENT/);
        await writeFile(file, `${sshLines['ssh-rsa']}\n-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n`);
        const leaky = await potluck(['member', 'add', 'jo', '--ssh-key', file]);
        assert.match(leaky.stderr, /keys, line 2: no SSH public key: it is a private key/);
        assert.ok(!leaky.stderr.includes('secret'));
        await failed(potluck(['member', 'add', 'kube-jo']), /PLK024 the API refused: .*a member cannot be called default, kube-/);
        await failed(potluck(['member', 'add', 'jo', '--token-ttl', '1m']), /--token-ttl "1m" is no duration between 600s and 8760h/);
        await failed(potluck(['member', 'add', 'jo', '--permissions', 'use,rule']), /--permissions has "rule"/);
        await failed(potluck(['member', 'add', 'jo', '--server', 'http://pool']), /is not the URL of a pool/);
        await assert.rejects(getMember('jo'), isNotFound);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('get as many tokens as they need, each of which ends by itself or at once by hand', async () => {
      const first = await addMember('kim');
      const made = JSON.parse(
        await succeeded(potluck(['member', 'token', 'create', 'kim', '--server', api.url, '-o', 'json', '--token-ttl', '1h'])),
      ) as {
        name: string;
        expirationTimestamp: string;
        kubeconfig: unknown;
      };
      const second = await kubectlOf('kim', JSON.stringify(made.kubeconfig));
      const soon = Date.parse(made.expirationTimestamp) - Date.now();
      assert.ok(soon > 3_500_000 && soon <= 3_601_000, String(soon));
      await succeeded(first(['get', 'providers']));
      await succeeded(second(['get', 'providers']));
      const table = await succeeded(potluck(['member', 'token', 'list', 'kim']));
      assert.match(table, /^TOKEN +MEMBER +EXPIRES\n(kim-[0-9a-f]{8} +kim +20\S+Z\n?){2}$/);
      await failed(potluck(['member', 'token', 'delete', made.name, 'nonesuch']), /there is no token "nonesuch"/);
      await succeeded(second(['get', 'providers']));
      await succeeded(potluck(['member', 'token', 'delete', made.name]));
      await failed(second(['get', 'providers']), /Unauthorized|must be logged in/);
      await succeeded(first(['get', 'providers']));
      await failed(potluck(['member', 'token', 'create', 'nobody']), /there is no member "nobody"/);
      const list = JSON.parse(await succeeded(potluck(['member', 'list', '-o', 'json']))) as { name: string; ready: string }[];
      assert.equal(list.find(({ name }) => name === 'kim')?.ready, 'True');
    });
  });

  describe('like toto', () => {
    let toto: (args: string[], input?: string) => Promise<KubectlResult>;

    before(async () => {
      const provider = (name: string, owner: string): object => ({
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'Provider',
        metadata: { name },
        spec: { owner, identityKey: 'A'.repeat(43), offer: { cpu: '1', memory: '1Gi', disk: '1Gi' } },
      });
      const inventory = (name: string, owner: string, providerUID: string): object => ({
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'ProviderInventory',
        metadata: { name },
        spec: { providerUID, owner },
      });
      toto = await addMember('toto', '--ssh-key', sshLines['ssh-ed25519'], '--display-name', 'Toto');
      await member('titi');
      const objects = [
        ...[provider('totos-laptop', 'toto'), provider('titis-desktop', 'titi')],
        instanceManifest('theirs', { namespace: 'titi' }),
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'theirs', namespace: 'titi' } },
      ];
      for (const object of objects) await succeeded(api.kubectl(['create', '-f', '-'], JSON.stringify(object)));
      for (const [name, owner] of [
        ['totos-laptop', 'toto'],
        ['titis-desktop', 'titi'],
      ] as const) {
        const uid = await succeeded(api.kubectl(['get', 'provider', name, '-o', 'jsonpath={.metadata.uid}']));
        await succeeded(api.kubectl(['create', '-f', '-'], JSON.stringify(inventory(name, owner, uid))));
      }
    });

    const joinToken = (name: string, owner: string): string =>
      JSON.stringify({
        apiVersion: 'potluck.dev/v1alpha1',
        kind: 'JoinToken',
        metadata: { name },
        spec: { owner, secretHash: '0'.repeat(64), expirationTimestamp: new Date(Date.now() + 600_000).toISOString() },
      });
    async function newToken(): Promise<{ name: string; token: string }> {
      const made = JSON.parse(await succeeded(potluck(['member', 'token', 'create', 'toto', '--server', api.url, '-o', 'json']))) as {
        name: string;
        kubeconfig: { users: { user: { token: string } }[] };
      };
      return { name: made.name, token: made.kubeconfig.users[0]?.user.token ?? '' };
    }
    /** What the API answers to a token. */
    async function codeWith(token: string): Promise<number> {
      const { ca } = await readCredentials(api.kubeconfigPath);
      const headers = { authorization: `Bearer ${token}` };
      return (await rawRequest(`${api.url}/apis/potluck.dev/v1alpha1/providers`, { ca }, { headers })).code;
    }
    const patch = (object: string, change: object): string[] => [
      'patch',
      ...object.split(' '),
      '--type=merge',
      '-p',
      JSON.stringify(change),
    ];

    it('are who their token says, and may what is theirs', async () => {
      const whoami = await succeeded(toto(['auth', 'whoami', '-o', 'json']));
      const { userInfo } = (JSON.parse(whoami) as { status: { userInfo: { username: string; groups: string[] } } }).status;
      assert.equal(userInfo.username, 'system:serviceaccount:potluck-members:toto');
      assert.deepEqual(userInfo.groups, ['system:serviceaccounts', 'system:serviceaccounts:potluck-members', 'system:authenticated']);
      const { stdout: list, stderr: warning } = await toto(['auth', 'can-i', '--list']);
      // What is theirs by a relationship depends on objects, as with Kubernetes' nodes.
      assert.match(warning, /the list may be incomplete: the relationship authorizer does not list rules/);
      const verbsOf = (resource: string): string[] =>
        list.split('\n').flatMap((line) => (line.startsWith(`${resource} `) ? (/\[([^[\]]*)\]$/.exec(line)?.[1] ?? '').split(' ') : []));
      for (const verb of ['create', 'get', 'delete']) assert.ok(verbsOf('instances.potluck.dev').includes(verb), list);
      assert.ok(verbsOf('secrets').includes('create'), list);
      assert.deepEqual(verbsOf('jointokens.potluck.dev'), ['create'], list);
      assert.ok(verbsOf('providers.potluck.dev').includes('list'), list);
      assert.deepEqual(verbsOf('rolebindings.rbac.authorization.k8s.io'), [], list);
      const canI = async (...question: string[]): Promise<string> =>
        (await toto(['auth', 'can-i', ...question])).stdout.trim().split(' ')[0] ?? '';
      const answers = await Promise.all([
        canI('create', 'instances'),
        canI('create', 'instances', '-n', 'titi'),
        canI('get', 'secrets', '-n', 'potluck-members'),
        canI('create', 'serviceaccounts/token', '-n', 'potluck-members'),
        canI('update', 'members/toto'),
        canI('update', 'members/titi'),
        canI('create', 'members'),
        canI('delete', 'members/toto'),
        canI('create', 'jointokens'),
        canI('patch', 'resourcequotas'),
      ]);
      assert.deepEqual(answers, ['yes', 'no', 'no', 'no', 'yes', 'no', 'no', 'no', 'yes', 'no']);
    });

    it('edit their profile and their keys, and nothing of what they may do', async () => {
      const keys = [`${sshLines['ecdsa-sha2-nistp256']} new`];
      await succeeded(toto(patch('member toto', { spec: { displayName: 'Toto the second', email: 'toto@example.org', sshKeys: keys } })));
      const { status } = await untilReady('toto');
      assert.deepEqual(
        status?.sshKeys?.map(({ comment }) => comment),
        ['new'],
      );
      await failed(toto(patch('member toto', { spec: { sshKeys: ['ssh-rsa AAAA'] } })), /spec\.sshKeys\[0\]: .*must be a whole public key/);
      await failed(toto(patch('member toto', { spec: { permissions: ['Use', 'Lend', 'Admin'] } })), /nobody changes their own permissions/);
      await failed(toto(patch('member toto', { spec: { quota: { 'requests.cpu': '1000' } } })), /nobody changes their own quota/);
      await failed(
        toto(patch('member toto', { metadata: { finalizers: ['example.com/stay'] } })),
        /changes only displayName, email and sshKeys/,
      );
      await failed(toto([...patch('member toto', { status: { namespace: 'titi' } }), '--subresource=status']), /Forbidden|forbidden/);
      await failed(toto(patch('member titi', { spec: { displayName: 'Nobody' } })), /orbidden/);
      await failed(toto(['delete', 'member', 'toto']), /orbidden/);
      await failed(toto(patch('resourcequota potluck', { spec: { hard: { 'requests.cpu': '1000' } } })), /orbidden/);
    });

    it('see every provider, change their own, and see no one else’s instances, secrets, inventory or profile', async () => {
      const names = await succeeded(toto(['get', 'providers', '-o', 'name']));
      assert.equal(names, 'provider.potluck.dev/titis-desktop\nprovider.potluck.dev/totos-laptop');
      await succeeded(toto(patch('provider totos-laptop', { spec: { available: false } })));
      await failed(toto(patch('provider totos-laptop', { spec: { identityKey: 'B'.repeat(43) } })), /identityKey/);
      await failed(toto(patch('provider titis-desktop', { spec: { available: false } })), /orbidden/);
      await succeeded(toto(['get', 'providerinventory', 'totos-laptop']));
      await failed(toto(['get', 'providerinventory', 'titis-desktop']), /orbidden/);
      await failed(toto(['get', 'providerinventories']), /orbidden/);
      await succeeded(toto(['get', 'member', 'toto']));
      await failed(toto(['get', 'member', 'titi']), /orbidden/);
      await failed(toto(['get', 'members']), /orbidden/);
      await failed(toto(['get', 'instances', '-n', 'titi']), /orbidden/);
      await failed(toto(['get', 'instances', '-A']), /orbidden/);
      await failed(toto(['get', 'secret', 'theirs', '-n', 'titi']), /orbidden/);
      await failed(toto(['get', 'secrets', '-n', 'potluck-members']), /orbidden/);
      await failed(toto(['create', 'token', 'titi', '-n', 'potluck-members']), /orbidden/);
      await failed(toto(['get', 'providers', '--as', 'system:serviceaccount:potluck-members:titi']), /orbidden/);
      await failed(toto(['create', 'rolebinding', 'more', '--clusterrole=admin', '--user=eve']), /orbidden/);
    });

    it('make join tokens in their own name only, and only as lenders', async () => {
      await succeeded(toto(['create', '-f', '-'], joinToken('totototo', 'toto')));
      await failed(
        toto(['create', '-f', '-'], joinToken('titititi', 'titi')),
        /spec\.owner must be toto: members make join tokens in their own name/,
      );
      await succeeded(toto(['get', 'jointoken', 'totototo']));
      await succeeded(api.kubectl(['create', '-f', '-'], joinToken('titititi', 'titi')));
      await failed(toto(['get', 'jointoken', 'titititi']), /orbidden/);
      await failed(toto(['delete', 'jointoken', 'titititi']), /orbidden/);
      await succeeded(toto(['delete', 'jointoken', 'totototo']));
      await admin.patch(members, { name: 'toto' }, { spec: { permissions: ['Use'] } });
      await untilReady('toto');
      await failed(toto(['create', '-f', '-'], joinToken('totototo', 'toto')), /orbidden/);
      await admin.patch(members, { name: 'toto' }, { spec: { permissions: ['Use', 'Lend'] } });
      await untilReady('toto');
    });

    it('have instances up to their quota, which refuses in the words of Kubernetes', async () => {
      const apply = (name: string, requests: Record<string, string>): Promise<KubectlResult> =>
        toto(['apply', '-f', '-'], JSON.stringify(instanceManifest(name, { namespace: 'toto', requests })));
      await eventually(
        async () => {
          const { status } = await admin.get(resourceQuotas, { namespace: 'toto', name: 'potluck' });
          assert.equal(status?.used?.['requests.cpu'], '0');
        },
        { ...bounds, what: 'the quota to be counted' },
      );
      await succeeded(apply('mine', { cpu: '10' }));
      await failed(
        apply('more', { cpu: '7' }),
        /instances\.potluck\.dev "more" is forbidden: exceeded quota: potluck, requested: requests\.cpu=7, used: requests\.cpu=10, limited: requests\.cpu=16/,
      );
      assert.equal(await succeeded(toto(['get', 'instances', '-o', 'name'])), 'instance.potluck.dev/mine');
      assert.match(await succeeded(toto(['get', 'quota'])), /requests\.cpu: 10\/16/);
      await succeeded(toto(['delete', 'instance', 'mine']));
    });

    it('who may not use the pool see what is theirs, and make nothing', async () => {
      await admin.patch(members, { name: 'toto' }, { spec: { permissions: ['Lend'] } });
      await untilReady('toto');
      await succeeded(toto(['get', 'instances']));
      await failed(toto(['create', '-f', '-'], JSON.stringify(instanceManifest('no', { namespace: 'toto' }))), /orbidden/);
      await admin.patch(members, { name: 'toto' }, { spec: { permissions: ['Use', 'Lend'] } });
      await untilReady('toto');
    });

    it('who administer the pool may do everything but raise themselves or speak as the controller', async () => {
      const chief = await addMember('chief', '--permissions', 'admin');
      await succeeded(chief(['get', 'secrets', '-A']));
      await succeeded(chief(patch('member titi', { spec: { quota: { 'requests.cpu': '4' } } })));
      await failed(
        chief(patch('member chief', { spec: { permissions: ['Use', 'Lend', 'Admin'] } })),
        /nobody changes their own permissions/,
      );
      await failed(
        chief([...patch('member titi', { status: { namespace: 'toto' } }), '--subresource=status']),
        /only the controller writes the status of members/,
      );
    });

    it('are out at once when their token is revoked, and when it has run out', async () => {
      const { name, token } = await newToken();
      assert.equal(await codeWith(token), 200);
      await admin.delete(secrets, { namespace: 'potluck-members', name });
      assert.equal(await codeWith(token), 401);
      // The API gives no token that lives shorter than ten minutes: this one is signed with its key, as of an hour ago.
      const account = await admin.get(serviceAccounts, { namespace: 'potluck-members', name: 'toto' });
      const subject = { namespace: 'potluck-members', serviceAccount: { name: 'toto', uid: account.metadata.uid ?? '' } };
      const key = await openTokenKey(join(api.home, 'pki'));
      const nowSeconds = Math.floor(Date.now() / 1000);
      const signed = (expiresAt: number): Promise<string> =>
        signToken(key, subject, { audiences: [tokenIssuer], issuedAt: nowSeconds - 3_600, expiresAt });
      assert.equal(await codeWith(await signed(nowSeconds + 60)), 200);
      assert.equal(await codeWith(await signed(nowSeconds - 1)), 401);
    });

    it('are nobody when they are removed: access ends within two seconds, and nothing of theirs is left', async () => {
      await succeeded(toto(['create', '-f', '-'], JSON.stringify(instanceManifest('last', { namespace: 'toto' }))));
      const { token } = await newToken();
      assert.equal(await codeWith(token), 200);
      await succeeded(api.kubectl(['delete', 'member', 'toto', '--wait=false']));
      await eventually(async () => assert.equal(await codeWith(token), 401), { timeoutMs: 2_000, what: 'access to end' });
      await untilGone(namespaces as ResourceType<never>, { name: 'toto' });
      assert.deepEqual((await admin.list(secrets, { namespace: 'potluck-members', labelSelector: 'potluck.dev/member=toto' })).items, []);
      assert.equal((await admin.list(providers)).items.filter(({ spec }) => spec.owner === 'toto').length, 1);
    });
  });

  it('have their keys shown as ssh-keygen shows them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'potluck-keys-'));
    try {
      const lines: string[] = [];
      const shown: string[] = [];
      for (const [type, bits] of [
        ['ed25519', '256'],
        ['rsa', '2048'],
        ['rsa', '3072'],
        ['ecdsa', '256'],
        ['ecdsa', '384'],
        ['ecdsa', '521'],
      ] as const) {
        const file = join(folder, `${type}-${bits}`);
        await sshKeygen('-q', '-t', type, '-b', bits, '-N', '', '-C', `toto at ${type}`, '-f', file);
        lines.push((await readFile(`${file}.pub`, 'utf8')).trim());
        shown.push((await sshKeygen('-lf', `${file}.pub`)).trim());
      }
      for (const type of ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const) {
        const file = join(folder, 'sk.pub');
        await writeFile(file, `${sshLines[type]} token\n`);
        // OpenSSH looks whether a point is on its curve; that of the example is not.
        if (type.includes('ecdsa')) assert.ok(parseSshPublicKey(sshLines[type]).key);
        else {
          lines.push(`${sshLines[type]} token`);
          shown.push((await sshKeygen('-lf', file)).trim());
        }
      }
      const { status } = await member('lena', { sshKeys: lines });
      assert.deepEqual(
        status?.sshKeys?.map(({ bits, fingerprint, comment }) => `${bits} ${fingerprint} ${comment}`),
        shown.map((line) => line.replace(/ \([A-Z0-9-]+\)$/, '')),
      );
      assert.equal(status.conditions?.find(({ type }) => type === 'SSHKeysValid')?.status, 'True');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function sshKeygen(...args: string[]): Promise<string> {
  const child = spawn('ssh-keygen', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.equal(child.exitCode, 0, stderr);
  return stdout;
}
