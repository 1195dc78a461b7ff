/** What a manifest may not reach: each way out of a container is refused with its field named, or shown to be harmless. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { after, before, describe, it } from 'mocha';
import { instances } from '../../api/resource-type.ts';
import { eventually } from '../support/eventually.ts';
import { testImage } from '../support/image.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

const goldenFile = join(import.meta.dirname, 'golden-host-config.json');
/** Of the machine, of the image's size, or of the test's folder. */
const volatile = ['CpusetCpus', 'StorageOpt', 'Mounts'];
const manifest = (spec: string): string => `apiVersion: potluck.dev/v1alpha1
kind: Instance
metadata: { name: escape }
spec:
  image: ${testImage}
  resources: { requests: { cpu: 100m, memory: 16Mi } }
${spec
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`;

describe('what a manifest cannot reach', function () {
  this.timeout(180_000);
  let pool: TestPool;
  let engine: Docker;
  before(async () => {
    pool = await startTestPool({ providers: [{ name: 'desktop' }] });
    engine = new Docker({ socketPath: join(pool.home, 'providers/desktop/engine/docker.sock') });
  });
  after(async () => {
    await pool.stop();
  });

  it('is bounded by one host configuration: docker inspect equals the golden one', async () => {
    const limits = { cpu: '500m', memory: '96Mi', disk: '64Mi', pids: '77' };
    const requests = { cpu: '250m', memory: '64Mi', disk: '64Mi' };
    await pool.client.create(instances, instanceManifest('golden', { requests, limits }));
    const { metadata } = await pool.untilPhase('golden', 'Running');
    const info = await pool.inspect('desktop', metadata.uid ?? '');
    const golden = JSON.parse(await readFile(goldenFile, 'utf8')) as Record<string, unknown>;
    const entries = Object.entries(info.HostConfig).filter(([name]) => !volatile.includes(name));
    const known = entries.filter(([name]) => name in golden && name !== 'MaskedPaths');
    const { MaskedPaths: masked, ...expected } = golden;
    assert.deepEqual(Object.fromEntries(known), expected);
    // Newer engines mask more, and have members that this one has not; whatever those are, they must be off.
    for (const path of masked as string[]) assert.ok((info.HostConfig as { MaskedPaths?: string[] }).MaskedPaths?.includes(path), path);
    for (const [name, value] of entries) if (!(name in golden)) assert.ok(isOff(value), `${name}: ${JSON.stringify(value)}`);
    const toolbox = join(pool.home, 'providers/desktop/toolbox');
    const mounts = [
      [join(toolbox, 'tools'), '/.potluck'],
      [join(toolbox, 'instances', metadata.uid ?? ''), '/.potluck-instance'],
      [join(toolbox, 'empty'), '/run/sshd'],
    ];
    const mounted = info.Mounts.map(({ Type, Source, Destination, RW }) => [Type, Source, Destination, RW]);
    const byDestination = (one: unknown[], other: unknown[]): number => String(one[2]).localeCompare(String(other[2]));
    assert.deepEqual(
      mounted.sort(byDestination),
      mounts.map(([source, target]) => ['bind', source, target, false]).sort(byDestination),
      'only what it is entered by, read-only',
    );
    assert.deepEqual(Object.keys(info.NetworkSettings.Networks), ['bridge']);
    assert.match(info.HostConfig.CpusetCpus ?? '', /^\d+(-\d+)?(,\d+(-\d+)?)*$/);
  });

  const refused: [string, string, RegExp][] = [
    ['privileges', 'privileged: true', /unknown field "spec\.privileged"/],
    [
      'a security context',
      'securityContext: { privileged: true, capabilities: { add: [SYS_ADMIN] } }',
      /unknown field "spec\.securityContext"/,
    ],
    ['capabilities', 'capAdd: [SYS_ADMIN]', /unknown field "spec\.capAdd"/],
    ["the host's network", 'hostNetwork: true', /unknown field "spec\.hostNetwork"/],
    ["the host's processes", 'hostPID: true', /unknown field "spec\.hostPID"/],
    ["the host's IPC", 'hostIPC: true', /unknown field "spec\.hostIPC"/],
    ["the host's users", 'hostUsers: true', /unknown field "spec\.hostUsers"/],
    ['the root of the host', 'volumes: [{ name: r, hostPath: { path: / } }]', /unknown field "spec\.volumes"/],
    ['binds', 'binds: ["/:/host", "/var/run/docker.sock:/var/run/docker.sock"]', /unknown field "spec\.binds"/],
    ['mounts', 'mounts: [{ type: bind, source: /, target: /host }]', /unknown field "spec\.mounts"/],
    ['devices', 'devices: [{ pathOnHost: /dev/sda }]', /unknown field "spec\.devices"/],
    ['no seccomp', 'securityOpt: ["seccomp=unconfined"]', /unknown field "spec\.securityOpt"/],
    ['another parent of its cgroup', 'cgroupParent: /', /unknown field "spec\.cgroupParent"/],
    ['sysctls', 'sysctls: { kernel.core_pattern: "|/x" }', /unknown field "spec\.sysctls"/],
    ["another container's volumes", 'volumesFrom: [other]', /unknown field "spec\.volumesFrom"/],
    ['a runtime by name', 'runtime: io.containerd.runc.v2', /unknown field "spec\.runtime"/],
    ['a runtime class', 'runtimeClassName: runc', /unknown field "spec\.runtimeClassName"/],
    ['a host configuration', 'hostConfig: { Privileged: true }', /unknown field "spec\.hostConfig"/],
    ['another isolation', 'isolation: None', /spec\.isolation: Unsupported value: "None"/],
    [
      'a resource of its own invention',
      'resources: { requests: { cpu: 1, memory: 16Mi, "devices.kubevirt.io/kvm": 1 } }',
      /spec\.resources\.requests/,
    ],
    ['a level that there is not', 'placement: { requireEnforcement: { disk: Hard } }', /spec\.placement\.requireEnforcement/],
    ['a kind that there is not', 'placement: { requireEnforcement: { gpu: Quota } }', /a kind of enforcement is one of/],
    ['an image that is an option', 'image: "--privileged"', /spec\.image/],
    ['a directory that is not absolute', 'workingDir: ../..', /spec\.workingDir/],
  ];
  for (const [what, spec, message] of refused) {
    it(`refuses ${what}, and names the field`, async () => {
      const text = manifest(spec);
      const whole =
        spec.startsWith('image') || spec.startsWith('resources')
          ? text.replace(/^ {2}(image|resources): (?!.*--).*\n/m, (line) => (line.includes(spec.split(':')[0] ?? '') ? '' : line))
          : text;
      const { code, stderr } = await pool.kubectl(['create', '-f', '-'], { input: whole });
      assert.equal(code, 1);
      assert.match(stderr, message);
    });
  }

  it('drops what it does not know when the client asks for no validation, and runs an ordinary container', async () => {
    const spec =
      'command: [sleep, "1000"]\nprivileged: true\nhostNetwork: true\nbinds: ["/:/host"]\nruntime: other\nhostConfig: { Privileged: true }';
    const created = await pool.kubectl(['create', '--validate=ignore', '-f', '-'], { input: manifest(spec) });
    assert.equal(created.code, 0, created.stderr);
    const { metadata } = await pool.untilPhase('escape', 'Running');
    const { HostConfig: host, Mounts } = await pool.inspect('desktop', metadata.uid ?? '');
    assert.deepEqual([host.Privileged, host.NetworkMode, host.Binds, host.Runtime], [false, 'bridge', null, 'guarded-runc']);
    // Those of the way in, and no other.
    assert.deepEqual(Mounts.map(({ Destination }) => Destination).sort(), ['/.potluck', '/.potluck-instance', '/run/sshd']);
    await remove('escape');
  });

  it('keeps LD_PRELOAD and the like inside of the container', async () => {
    const env = ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'PATH', 'DOCKER_HOST', 'container'].map((name) => ({ name, value: '/evil' }));
    const command = ['/bin/sh', '-c', 'trap exit TERM; while /bin/true; do /bin/sleep 1; done'];
    const made = instanceManifest('preload', { command });
    await pool.client.create(instances, { ...made, spec: { ...made.spec, env } });
    const { metadata } = await pool.untilPhase('preload', 'Running');
    const { State, Config } = await pool.inspect('desktop', metadata.uid ?? '');
    assert.ok(Config.Env.includes('LD_PRELOAD=/evil'));
    // The shim and the engine around it were started without.
    const parent = /^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${State.Pid}/status`, 'utf8'))?.[1] ?? '';
    assert.doesNotMatch(await readFile(`/proc/${parent}/environ`, 'utf8'), /evil/);
    await remove('preload');
  });

  it('does not start an image that wants a volume over its root, and says so', async () => {
    await makeImage('potluck-test/volume-root:1', ['VOLUME /']);
    const made = instanceManifest('volume-root', {});
    await pool.client.create(instances, { ...made, spec: { ...made.spec, image: 'potluck-test/volume-root:1' } });
    const { status, metadata } = await eventually(
      async () => {
        const instance = await pool.get('volume-root');
        assert.equal(instance.status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'CreateFailed');
        return instance;
      },
      { timeoutMs: 30_000, what: 'CreateFailed' },
    );
    assert.match(status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '', /declares a volume over its root/);
    assert.deepEqual(
      (await pool.containers('desktop')).filter(({ instanceUid }) => instanceUid === metadata.uid),
      [],
    );
    await remove('volume-root');
  });

  it('stays in the container when its working directory is a link that leads up', async () => {
    await makeImage('potluck-test/linked:1', [], ['busybox', 'ln', '-s', '../../../../..', '/out']);
    const command = ['sh', '-c', 'ls / > /seen; exec sleep 1000'];
    const made = instanceManifest('linked', { command, image: 'potluck-test/linked:1' });
    await pool.client.create(instances, { ...made, spec: { ...made.spec, workingDir: '/out/tmp' } });
    const { metadata } = await pool.untilPhase('linked', 'Running');
    const { State } = await pool.inspect('desktop', metadata.uid ?? '');
    const seen = await eventually(() => readFile(`/proc/${State.Pid}/root/seen`, 'utf8'), { timeoutMs: 10_000, what: 'its root' });
    assert.match(seen, /^out$/m);
    assert.doesNotMatch(seen, /^(boot|srv)$/m);
    await remove('linked');
  });

  async function remove(name: string): Promise<void> {
    await pool.client.delete(instances, { namespace: 'default', name });
    await pool.untilGone(name);
  }

  async function makeImage(reference: string, changes: readonly string[], command = ['true']): Promise<void> {
    const [repo, tag] = reference.split(':');
    const container = await engine.createContainer({ Image: testImage, Cmd: command });
    await container.start();
    await container.wait();
    const options = { repo, tag, changes: ['CMD ["sleep", "1000"]', ...changes] } as object;
    const stream = await engine.importImage(await container.export(), options);
    stream.resume();
    await once(stream, 'end');
    await container.remove();
  }
});

function isOff(value: unknown): boolean {
  return value === null || value === false || value === 0 || value === '' || (Array.isArray(value) && value.length === 0);
}
