/**
 * What a machine and a member may do, against lists written by hand: every discovered resource and subresource, every verb, on what is their
 * own, another's and nobody's. What is not in a list is refused in the words of Kubernetes.
 */
import assert from 'node:assert/strict';
import { discoverResources, owners, resourceName, sendCell } from '../support/access-matrix.ts';
import type { Cell, DiscoveredResource, MatrixUser, Owner } from '../support/access-matrix.ts';
import { AccessWorld } from '../support/access-world.ts';

const everyVerb = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
const reading = ['get', 'list', 'watch'];
const status = ['get', 'update', 'patch'];
const anyOwner = owners;

type Row = readonly [resource: string, owners: readonly Owner[], verbs: readonly string[]];

/** Everybody may ask about themselves. */
const everybody: readonly Row[] = [
  ['authentication.k8s.io/selfsubjectreviews', anyOwner, ['create']],
  ['authorization.k8s.io/selfsubjectaccessreviews', anyOwner, ['create']],
  ['authorization.k8s.io/selfsubjectrulesreviews', anyOwner, ['create']],
];

const machineMay: readonly Row[] = [
  ...everybody,
  ['potluck.dev/providers', ['own'], [...reading, 'delete']],
  ['potluck.dev/providers/status', ['own'], status],
  ['potluck.dev/instances', ['own'], reading],
  ['potluck.dev/instances/status', ['own'], status],
  ['potluck.dev/providerinventories', ['own'], ['create', 'get', 'update', 'patch']],
  ['potluck.dev/providerinventories/status', ['own'], status],
  ['potluck.dev/providerreservations', ['own'], ['get']],
  ['coordination.k8s.io/leases', ['own'], ['create', 'get', 'update', 'patch']],
  // What its instances name, and nothing else of the namespace.
  ['secrets', ['own'], ['get']],
  ['configmaps', ['own'], ['get']],
  ['events', ['own'], ['create', 'patch']],
  ['events.k8s.io/events', ['own'], ['create', 'patch']],
  // Under a name with its own uid.
  ['certificates.k8s.io/certificatesigningrequests', ['own'], ['create', 'get']],
];

const memberMay: readonly Row[] = [
  ...everybody,
  ['potluck.dev/members', ['own'], [...reading, 'update', 'patch']],
  ['potluck.dev/providers', anyOwner, reading],
  ['potluck.dev/providers', ['own'], ['update', 'patch', 'delete']],
  ['potluck.dev/providerinventories', ['own'], reading],
  ['potluck.dev/jointokens', ['own'], [...reading, 'create', 'delete']],
  ['potluck.dev/instances', ['own'], everyVerb],
  ['potluck.dev/instances/status', ['own'], ['get']],
  ['namespaces', ['own'], ['get']],
  ['configmaps', ['own'], everyVerb],
  ['secrets', ['own'], everyVerb],
  ['serviceaccounts', ['own'], everyVerb],
  ['serviceaccounts/token', ['own'], ['create']],
  ['resourcequotas', ['own'], reading],
  ['metrics.k8s.io/pods', ['own'], ['get', 'list']],
  ['events', ['own'], everyVerb],
  ['events.k8s.io/events', ['own'], everyVerb],
  ['coordination.k8s.io/leases', ['own'], everyVerb],
];

describe('the matrix of rights', function () {
  this.timeout(120_000);
  let world: AccessWorld;

  before(async () => {
    world = await AccessWorld.start();
  });
  after(() => world.stop());

  async function measure(user: MatrixUser, by: 'machine' | 'member'): Promise<Cell[]> {
    const cells: Cell[] = [];
    for (const resource of world.resources) {
      for (const owner of owners) {
        const target = world.target(resource, owner, by);
        for (const verb of resource.verbs) {
          const answer = await sendCell(user, resource, verb, target, verb === 'update' ? await current(resource, owner, by) : undefined);
          cells.push({ resource, verb, owner, answer });
        }
      }
    }
    return cells;
  }

  async function current(resource: DiscoveredResource, owner: Owner, by: 'machine' | 'member'): Promise<unknown> {
    const { group, version, resource: plural, namespaced } = resource;
    const { name, namespace } = world.target(resource, owner, by);
    const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    return world.client.request('GET', `${root}${namespaced ? `/namespaces/${namespace ?? ''}` : ''}/${plural}/${name}`);
  }

  /** Every cell that is not as the list says, one line each. */
  function differences(cells: readonly Cell[], rows: readonly Row[], userName: string): string[] {
    return cells.flatMap(({ resource, verb, owner, answer }) => {
      const whole = resourceName(resource);
      const listed = rows.some(([name, whose, verbs]) => name === whole && whose.includes(owner) && verbs.includes(verb));
      // Who may create under a name that is taken hears of that.
      const isUnmeasured = resource.group === 'metrics.k8s.io' && answer.code === 404;
      const isAllowed = (answer.code >= 200 && answer.code < 300) || (verb === 'create' && answer.code === 409) || isUnmeasured;
      const message = String(answer.json?.['message']);
      const said = `${verb} ${whole} (${owner}): ${answer.code} ${message}`;
      if (isAllowed !== listed) return [`${listed ? 'should be allowed' : 'should be refused'}: ${said}`];
      return isAllowed || isRefusal(message, resource, verb, userName, answer.code) ? [] : [`should be refused with 403: ${said}`];
    });
  }

  function isRefusal(
    message: string,
    { group, resource, subresource }: DiscoveredResource,
    verb: string,
    user: string,
    code: number,
  ): boolean {
    if (code !== 403) return false;
    const qualified = group === '' ? resource : `${resource}.${group}`;
    if (!message.startsWith(`${qualified} "`) && !message.startsWith(`${qualified} is forbidden: `)) return false;
    const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
    const byAuthorizer = `is forbidden: User "${user}" cannot ${verb} resource "${whole}" in API group "${group}" `;
    return (
      message.includes(byAuthorizer) || message.includes('is forbidden: ValidatingAdmissionPolicy ') || message.includes('relationship')
    );
  }

  it('has a row for everything that discovery lists', async () => {
    const names = (await discoverResources(world.client)).map(resourceName);
    const known = new Set(world.resources.map(resourceName));
    assert.deepEqual(
      names.filter((name) => !known.has(name) && !name.startsWith('matrix.test/')),
      [],
    );
    assert.ok(world.resources.length >= 40, String(world.resources.length));
    const listed = new Set(names);
    const rows = [...machineMay, ...memberMay].map(([name]) => name);
    assert.deepEqual(
      rows.filter((name) => !listed.has(name)),
      [],
      'rows for what does not exist',
    );
  });

  it('lets a machine do what is listed for it, and nothing else', async () => {
    const cells = await measure(await world.machine('own'), 'machine');
    assert.ok(cells.length >= 600, String(cells.length));
    assert.deepEqual(differences(cells, machineMay, `system:provider:${world.uids.own}`), []);
  });

  it('lets a member do what is listed for them, and nothing else', async () => {
    const cells = await measure(await world.member('own'), 'member');
    assert.ok(cells.length >= 600, String(cells.length));
    assert.deepEqual(differences(cells, memberMay, 'system:serviceaccount:potluck-members:toto'), []);
  });

  it('gives nobody anything without a certificate or a token', async () => {
    const { url, credentials } = await world.member('own');
    const cells = await measure({ url, credentials, headers: {} }, 'member');
    assert.deepEqual(differences(cells, [], 'system:anonymous'), []);
  });
});
