/** The way of a new user: start, look, apply the examples, stop, start again, lose the supervisor, remove everything. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instance } from '../../api/generated/instance.ts';
import { debianRootfs } from '../support/debian-rootfs.ts';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { runKubectl } from '../support/kubectl.ts';
import { Up, runPotluck } from '../support/up.ts';

const root = join(import.meta.dirname, '../..');

describe('potluck up', function () {
  this.timeout(240_000);
  let home: string;
  let flags: string[];
  let up: Up;

  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runKubectl(join(home, 'kubeconfig'), args);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const instance = async (name: string): Promise<Instance> => JSON.parse(await kubectl('get', 'instance', name, '-o', 'json')) as Instance;
  const untilPhase = (name: string, phase: string): Promise<Instance> =>
    eventually(
      async () => {
        const found = await instance(name);
        assert.equal(found.status?.phase, phase, JSON.stringify(found.status?.conditions));
        return found;
      },
      { timeoutMs: 60_000, what: `${name} to be ${phase}`, intervalMs: 200 },
    );

  /** What of this pool can be seen on the machine: processes, mounts, network interface, cgroups. */
  async function traces(): Promise<string[]> {
    const id = createHash('sha256').update(home).digest('hex').slice(0, 8);
    const found = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(home));
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const commandLine = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
      if (commandLine.includes(home)) found.push(commandLine);
    }
    found.push(...(await readdir('/sys/class/net')).filter((name) => name.includes(id)));
    for (const hierarchy of ['', ...(await readdir('/sys/fs/cgroup'))]) {
      const names = await readdir(join('/sys/fs/cgroup', hierarchy)).catch(() => []);
      found.push(...names.filter((name) => name.includes(`potluck-${id}`)));
    }
    return found;
  }

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'up-'));
    flags = ['--home', home, '--listen', '127.0.0.1:0', '--provider', 'this-machine', '--owner', 'alan', '--rootfs', await debianRootfs()];
    up = new Up(flags);
    await up.untilReady(180_000);
  });
  after(async () => {
    await up.end('SIGKILL');
    const { code, output } = await runPotluck('down', '--purge', '--home', home);
    await rm(home, { recursive: true, force: true });
    assert.equal(code, 0, output);
  });

  it('has a first instance that runs, and says how to get in', async () => {
    assert.match(up.output, /export KUBECONFIG=.*\/kubeconfig/);
    assert.match(up.output, /default +hello +Running +this-machine +default-this-machine-0/);
    assert.equal((await instance('hello')).status?.phase, 'Running');
    assert.equal(await kubectl('apply', '-f', join(root, 'examples/hello.yaml')), 'instance.potluck.dev/hello unchanged\n');
  });

  it('lets kubectl and potluck into the instance', async () => {
    assert.match(await kubectl('get', 'pods,nodes'), /pod\/hello +1\/1 +Running[^]*node\/this-machine +Ready/);
    // The agent may still be on its way to the gateway.
    await eventually(async () => assert.equal(await kubectl('exec', 'hello', '--', 'id', '-u'), '0\n'), {
      timeoutMs: 20_000,
      what: 'exec',
      intervalMs: 500,
    });
    const { code, output } = await runPotluck('exec', '--home', home, 'hello', '--', 'sh', '-c', 'echo $POTLUCK_SESSION; exit 3');
    assert.deepEqual([code, /^[0-9a-f]{32}\n$/.test(output)], [3, true], output);
    await kubectl('logs', 'hello');
  });

  it('shows providers and instances by potluck status', async () => {
    const { code, output } = await runPotluck('status', '-o', 'json', '--home', home);
    assert.equal(code, 0, output);
    const status = JSON.parse(output) as {
      ready: boolean;
      processes: Record<string, number>;
      providers: { name: string; owner: string; phase: string }[];
    };
    assert.equal(status.ready, true);
    assert.deepEqual(Object.keys(status.processes).sort(), ['agent', 'etcd', 'gateway', 'jump-host', 'server', 'up']);
    assert.deepEqual(
      status.providers.map(({ name, owner, phase }) => [name, owner, phase]),
      [['this-machine', 'alan', 'Ready']],
    );
  });

  it('is alone with its home', async () => {
    const { code, output } = await runPotluck('up', ...flags);
    assert.equal(code, 1);
    assert.match(output, /^PLK011 .*\n$/);
  });

  it('runs every example as the example says', async () => {
    await kubectl('apply', '-f', join(root, 'examples'));
    await untilPhase('word-count', 'Succeeded');
    await untilPhase('whole-core', 'Succeeded');
    await untilPhase('environment', 'Succeeded');
    await kubectl('wait', '--for=condition=Ready', 'member/toto', '--timeout=30s');
    assert.equal(await kubectl('get', 'quota', '-n', 'toto', '-o', 'name'), 'resourcequota/potluck\n');
    await untilPhase('stopped', 'Stopped');
    await kubectl('patch', 'instance', 'stopped', '--type=merge', '-p', '{"spec":{"powerState":"Running"}}');
    await untilPhase('stopped', 'Running');
    await untilPhase('in-us-east', 'Pending');
    const location = { region: 'eu-west', latitude: 45.8, longitude: 4.8 };
    await kubectl('patch', 'provider', 'this-machine', '--type=merge', '-p', JSON.stringify({ spec: { location } }));
    await untilPhase('in-eu-west', 'Running');
    await untilPhase('near-grenoble', 'Running');
    await kubectl('delete', '-f', join(root, 'examples'), '--ignore-not-found', '--timeout=60s', '--wait');
    await kubectl('apply', '-f', join(root, 'examples/hello.yaml'));
    await untilPhase('hello', 'Running');
  });

  it('stops in order on SIGTERM, leaves nothing running, and goes on where it was', async () => {
    const before = await instance('hello');
    const once = instanceManifest('once', { image: 'debian:12', restartPolicy: 'Never' });
    const applied = await runKubectl(join(home, 'kubeconfig'), ['apply', '-f', '-'], { input: JSON.stringify(once) });
    assert.equal(applied.code, 0, applied.stderr);
    await untilPhase('once', 'Running');
    assert.equal(await up.end('SIGTERM'), 0, up.output);
    assert.match(up.output, /agent stopped[^]*instances stopped[^]*container engine stopped[^]*controller stopped[^]*etcd stopped/);
    assert.deepEqual(await traces(), []);
    up = new Up(flags);
    await up.untilReady(60_000);
    const after = await untilPhase('hello', 'Running');
    assert.equal(after.metadata.uid, before.metadata.uid);
    assert.equal(after.status?.containerID, before.status?.containerID, 'its disk was not kept');
    assert.equal(after.status?.restartCount, before.status?.restartCount, 'being stopped with the pool is no crash');
    // Not even for an instance that is never restarted.
    await untilPhase('once', 'Running');
  });

  it('is cleaned up after by potluck down --purge, also when it was killed', async () => {
    await up.end('SIGKILL');
    assert.notDeepEqual(await traces(), []);
    const { code, output } = await runPotluck('down', '--purge', '--home', home);
    assert.equal(code, 0, output);
    assert.match(output, /Removed: /);
    assert.deepEqual(await traces(), []);
    // Not ours, so it stays.
    assert.deepEqual(await readdir(home), ['kubectl-home']);
    const again = await runPotluck('down', '--purge', '--home', home);
    assert.equal(again.code, 0, again.output);
    assert.match(again.output, /Nothing was left/);
  });
});
