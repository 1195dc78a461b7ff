/** The pool's own engine beside the owner's Docker, on a machine that is a network namespace. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { internetAddress, makeHostNamespace, startInNamespace } from '../support/host-namespace.ts';
import type { HostNamespace, NamespaceProcess } from '../support/host-namespace.ts';
import { importTestImage, testImage } from '../support/image.ts';

const program = join(import.meta.dirname, '../support/pool-engine-process.ts');

describe("the pool's own engine", function () {
  this.timeout(120_000);
  let host: HostNamespace;
  let owners: TestDockerd;
  let home: string;
  let pool: NamespaceProcess | undefined;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'potluck-home-'));
    host = await makeHostNamespace();
    owners = await startTestDockerd({ namespace: host.path });
    await importTestImage(owners.socketPath);
    const docker = new Docker({ socketPath: owners.socketPath });
    const server = await docker.createContainer({
      Image: testImage,
      Cmd: ['sh', '-c', 'mkdir -p /www && echo owner > /www/index.html && exec httpd -f -p 80 -h /www'],
      HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
      ExposedPorts: { '80/tcp': {} },
    });
    await server.start();
    await eventually(assertOwnersPort, { timeoutMs: 10_000, what: "the owner's published port" });
  });

  afterEach(async () => {
    await pool?.ask('purge').catch(() => undefined);
    await pool?.killHard();
  });

  after(async () => {
    await owners.stop();
    await host.remove();
    await rm(home, { recursive: true, force: true });
  });

  /** From the LAN, through the rules of the owner's Docker. */
  async function assertOwnersPort(): Promise<void> {
    const page = await runCommand('nsenter', [`--net=${host.lan}`, 'curl', '-s', '--max-time', '3', 'http://192.168.50.1:8080/']);
    assert.equal(page.trim(), 'owner');
  }

  function open(machine = host): NamespaceProcess {
    pool = startInNamespace(machine.path, program, [home, join(home, 'pool-engine.log')]);
    return pool;
  }

  async function runInPool(socketPath: string, command: string[]): Promise<{ code: number; output: string }> {
    const docker = new Docker({ socketPath });
    const container = await docker.createContainer({ Image: testImage, Cmd: command, Tty: true });
    await container.start();
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    const output = (await container.logs({ stdout: true, stderr: true })).toString();
    await container.remove();
    return { code: StatusCode, output };
  }

  /** An answer came back from beyond the host, past its firewall (Docker drops what it does not know). */
  async function assertReachesNetwork(socketPath: string): Promise<void> {
    const { output } = await runInPool(socketPath, ['nc', '-w', '3', internetAddress, '7']);
    assert.match(output, /refused/);
  }

  it("starts, serves, stops and is purged while the owner's published port goes on, and leaves the machine as it was", async () => {
    const before = await host.snapshot(home);
    const engine = open();
    const socketPath = (await engine.ask('start')) as string;
    await assertOwnersPort();
    await importTestImage(socketPath);
    await assertReachesNetwork(socketPath);
    await assertOwnersPort();
    await engine.ask('stop');
    await assertOwnersPort();
    assert.deepEqual(await host.snapshot(home), before);
    await engine.ask('start');
    await assertOwnersPort();
    assert.ok(await new Docker({ socketPath }).getImage(testImage).inspect(), 'images survive a stop');
    await engine.ask('purge');
    await assertOwnersPort();
    assert.deepEqual(await host.snapshot(home), before);
    assert.deepEqual(await readdir(home).then((names) => names.filter((name) => name === 'engine')), []);
  });

  it('turns forwarding off again where nobody else wanted it, also when two pools share the machine', async () => {
    const bare = await makeHostNamespace();
    const otherHome = await mkdtemp(join(tmpdir(), 'potluck-home-'));
    const other = startInNamespace(bare.path, program, [otherHome, join(otherHome, 'pool-engine.log')]);
    try {
      const before = await bare.snapshot(home);
      assert.equal(before['forwarding'], '0\n');
      const engine = open(bare);
      const socketPath = (await engine.ask('start')) as string;
      assert.equal((await bare.snapshot(home))['forwarding'], '1\n');
      await other.ask('start');
      await importTestImage(socketPath);
      await assertReachesNetwork(socketPath);
      await engine.ask('purge');
      assert.equal((await bare.snapshot(home))['forwarding'], '1\n', 'the other still needs it');
      await other.ask('purge');
      assert.deepEqual(await bare.snapshot(home), before);
    } finally {
      for (const each of [pool, other]) {
        await each?.ask('purge').catch(() => undefined);
        await each?.killHard();
      }
      pool = undefined;
      await bare.remove();
      await rm(otherHome, { recursive: true, force: true });
    }
  });

  it('lets nobody in from the LAN', async () => {
    const engine = open();
    const socketPath = (await engine.ask('start')) as string;
    await importTestImage(socketPath);
    const docker = new Docker({ socketPath });
    const container = await docker.createContainer({ Image: testImage, Cmd: ['nc', '-l', '-p', '9999'] });
    await container.start();
    const address = (await container.inspect()).NetworkSettings.Networks['bridge']?.IPAddress ?? '';
    await runCommand('nsenter', [`--net=${host.lan}`, 'ip', 'route', 'replace', '10.0.0.0/8', 'via', '192.168.50.1']);
    const knock = runCommand('nsenter', [`--net=${host.lan}`, 'curl', '-s', '--max-time', '2', `http://${address}:9999/`]);
    await assert.rejects(knock);
    await container.remove({ force: true });
  });

  async function uidOutside(socketPath: string): Promise<number> {
    const docker = new Docker({ socketPath });
    const container = await docker.createContainer({ Image: testImage, Cmd: ['sleep', '1000'] });
    await container.start();
    const { Pid: pid } = (await container.inspect()).State;
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    await container.remove({ force: true });
    return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
  }

  it('gives root in a container a user of its own on the machine, which no file of the machine names', async () => {
    const engine = open();
    const socketPath = (await engine.ask('start')) as string;
    await importTestImage(socketPath);
    assert.ok((await uidOutside(socketPath)) >= 0x7000_0000);
    const { output } = await runInPool(socketPath, ['id']);
    assert.match(output, /uid=0/);
  });

  it('keeps the users of a pool that was made before, as long as there are disks of theirs, and then gives it its own', async () => {
    const disk = join(home, 'engine', 'data-plain', 'containers', 'made-before');
    await mkdir(disk, { recursive: true });
    const engine = open();
    let socketPath = (await engine.ask('start')) as string;
    await importTestImage(socketPath);
    assert.equal(await uidOutside(socketPath), 0);
    await assertReachesNetwork(socketPath);
    await engine.ask('stop');
    await rm(disk, { recursive: true });
    socketPath = (await engine.ask('start')) as string;
    await importTestImage(socketPath);
    assert.ok((await uidOutside(socketPath)) >= 0x7000_0000);
    await assertReachesNetwork(socketPath);
  });

  it('holds a hard disk quota for each container', async () => {
    const engine = open();
    const socketPath = (await engine.ask('start')) as string;
    await importTestImage(socketPath);
    const docker = new Docker({ socketPath });
    const container = await docker.createContainer({
      Image: testImage,
      Cmd: ['dd', 'if=/dev/zero', 'of=/file', 'bs=1M', 'count=60'],
      Tty: true,
      HostConfig: { StorageOpt: { size: '40000000' } },
    });
    await container.start();
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    assert.notEqual(StatusCode, 0);
    assert.match((await container.logs({ stdout: true, stderr: true })).toString(), /quota exceeded/i);
  });

  it('goes on without the agent, with its containers, and is found again', async () => {
    const first = open();
    const socketPath = (await first.ask('start')) as string;
    await importTestImage(socketPath);
    const docker = new Docker({ socketPath });
    const container = await docker.createContainer({ Image: testImage, Cmd: ['sleep', '1000'] });
    await container.start();
    const { ID: engineId } = (await docker.info()) as { ID: string };
    const { State: state } = await container.inspect();
    await first.killHard();
    assert.equal((await container.inspect()).State.Running, true);
    const second = open();
    assert.equal(await second.ask('start'), socketPath);
    assert.equal(((await docker.info()) as { ID: string }).ID, engineId);
    assert.equal((await container.inspect()).State.Pid, state.Pid);
  });

  it('is restarted when it dies, and its containers never notice', async () => {
    const engine = open();
    const socketPath = (await engine.ask('start')) as string;
    await importTestImage(socketPath);
    const docker = new Docker({ socketPath });
    const container = await docker.createContainer({ Image: testImage, Cmd: ['sleep', '1000'] });
    await container.start();
    const { State: state } = await container.inspect();
    for (const name of ['dockerd', 'containerd']) {
      const { pid } = JSON.parse(await runCommand('cat', [join(home, 'engine', `${name}.pid.json`)])) as { pid: number };
      process.kill(pid, 'SIGKILL');
      await eventually(
        async () => {
          const text = await runCommand('cat', [join(home, 'engine', `${name}.pid.json`)]);
          assert.notEqual((JSON.parse(text) as { pid: number }).pid, pid);
          assert.equal((await container.inspect()).State.Pid, state.Pid);
        },
        { timeoutMs: 30_000, what: `${name} to be back` },
      );
    }
    assert.equal((await container.inspect()).State.Running, true);
    await assertOwnersPort();
  });

  it('puts its rules back when somebody flushed them', async () => {
    const engine = open();
    await engine.ask('start');
    const rules = (): Promise<string> => host.run('nft', 'list', 'ruleset');
    const table = /table inet (potluck_\w+)/.exec(await rules())?.[1] ?? '';
    await host.run('nft', 'delete', 'table', 'inet', table);
    await eventually(async () => assert.match(await rules(), new RegExp(table)), { timeoutMs: 15_000, what: 'the rules' });
  });
});
