/** kubectl's own verbs on instances, as Kubernetes 1.32 (WebSocket) and Debian's 1.20 (SPDY) speak them, through every real part. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import Docker from 'dockerode';
import { instances } from '../../api/resource-type.ts';
import { createLogger } from '../../runtime/logger.ts';
import { eventually } from '../support/eventually.ts';
import { exchange, untilForwarding } from '../support/kubectl-forward.ts';
import { findOldKubectl } from '../support/old-kubectl.ts';
import { VerbsWorld } from '../support/verbs-world.ts';

const terminal = join(import.meta.dirname, '../support/terminal.py');
const serve = 'busybox --install -s /bin; echo started; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done';

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('kubectl’s verbs', function () {
  this.timeout(120_000);
  let world: VerbsWorld;
  let old: string;
  let folder: string;
  const children = new Set<ChildProcessWithoutNullStreams>();

  before(async () => {
    const logged = process.env['POTLUCK_TEST_LOG'] !== undefined;
    const options = logged ? { logger: createLogger({ component: 'backend', level: 'debug', format: 'text' }) } : {};
    [world, old, folder] = await Promise.all([VerbsWorld.start(options), findOldKubectl(), mkdtemp(join(tmpdir(), 'potluck-verbs-'))]);
    const requests = { cpu: '250m', memory: '32Mi', disk: '64Mi' };
    await world.run('web', serve, { resources: { requests, limits: { cpu: '1', memory: '256Mi', pids: '512' } } });
  });
  afterEach(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    children.clear();
  });
  after(async () => {
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Echoes on port 7, within the network of the instance; busybox takes only two connections at a time. */
  async function startEcho(name: string): Promise<void> {
    const { containerID = '' } = (await world.agent.get(name)).status ?? {};
    const container = new Docker({ socketPath: world.dockerd.socketPath }).getContainer(containerID.replace('docker://', ''));
    const { Pid: pid } = (await container.inspect()).State;
    const program = `require('net').createServer({ allowHalfOpen: true }, (s) => s.on('error', () => {}).pipe(s)).listen(7, () => console.log('ready'))`;
    const { output } = spawn('nsenter', [`--net=/proc/${pid}/ns/net`, process.execPath, '-e', program]);
    await until(output, /ready/);
  }

  /** Ended after the test, whatever comes of it. */
  function spawn(command: string, args: readonly string[]): { child: ChildProcessWithoutNullStreams; output: () => string } {
    const child = world.spawn(command, args);
    children.add(child);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return { child, output: () => text };
  }

  function until(output: () => string, pattern: RegExp, timeoutMs = 20_000): Promise<unknown> {
    return eventually(() => assert.match(output(), pattern), { timeoutMs, what: String(pattern), intervalMs: 50 });
  }

  /** Names of programs that run in the container. */
  async function programs(name: string): Promise<string[]> {
    const { containerID = '' } = (await world.agent.get(name)).status ?? {};
    const container = new Docker({ socketPath: world.dockerd.socketPath }).getContainer(containerID.replace('docker://', ''));
    const top = (await container.top({ ps_args: '-eo pid,args' })) as { Processes: string[][] };
    return top.Processes.map((columns) => columns.slice(1).join(' '));
  }

  for (const which of ['1.32', '1.20'] as const) {
    describe(`of ${which}`, () => {
      const program = (): string => (which === '1.20' ? old : 'kubectl');
      const kubectl = (args: readonly string[], input?: string): ReturnType<VerbsWorld['kubectl']> => world.kubectl(program(), args, input);

      it('exec: input, both outputs, and the exit code', async () => {
        const { code, stdout, stderr } = await kubectl(['exec', '-i', 'web', '--', 'sh', '-c', 'cat; echo oops >&2; exit 7'], 'hello\n');
        assert.deepEqual([code, stdout], [7, 'hello\n'], stderr);
        assert.match(stderr, /^oops\n/m);
        const fine = await kubectl(['exec', 'web', '--', 'true']);
        assert.deepEqual([fine.code, fine.stdout], [0, ''], fine.stderr);
        const missing = await kubectl(['exec', 'web', '--', '/no/such/program']);
        assert.ok([126, 127].includes(missing.code), `${missing.code} ${missing.stderr}`);
      });

      it('exec: a terminal that changes its size', async () => {
        const { child, output } = spawn('python3', [terminal, program(), 'exec', '-it', 'web', '--', 'sh']);
        await until(output, /# /);
        child.stdin.write('type stty size\n');
        await until(output, /24 80/);
        child.stdin.write('size 133 41\n');
        // The terminal hears of it when it does: it is asked until it knows.
        const asking = setInterval(() => child.stdin.write('type stty size\n'), 200);
        await until(output, /41 133/).finally(() => clearInterval(asking));
        child.stdin.write('type exit 3\n');
        const [code] = (await once(child, 'exit')) as [number];
        assert.equal(code, 3, output());
      });

      it('exec: a client that is gone takes all that it started with it', async () => {
        const marker = `4${String(Date.now()).slice(-7)}`;
        const script = `(setsid sleep ${marker} </dev/null >/dev/null 2>&1 &) ; echo ready; sleep ${marker}`;
        const { child, output } = spawn(program(), ['exec', 'web', '--', 'sh', '-c', script]);
        await until(output, /ready/);
        assert.equal((await programs('web')).filter((args) => args === `sleep ${marker}`).length, 2);
        child.kill('SIGKILL');
        await eventually(
          async () =>
            assert.deepEqual(
              (await programs('web')).filter((args) => args.includes(marker)),
              [],
            ),
          {
            timeoutMs: 5_000,
            what: 'everything to be ended',
          },
        );
      });

      it('exec: what a command leaves running when it ends goes on', async () => {
        const marker = `5${String(Date.now()).slice(-7)}`;
        const { code, stderr } = await kubectl(['exec', 'web', '--', 'sh', '-c', `setsid sleep ${marker} </dev/null >/dev/null 2>&1 &`]);
        assert.equal(code, 0, stderr);
        assert.ok((await programs('web')).includes(`sleep ${marker}`));
        await kubectl(['exec', 'web', '--', 'sh', '-c', `kill $(cd /proc; grep -lz ${marker} [0-9]*/cmdline | cut -d/ -f1)`]);
      });

      it('cp, both ways', async () => {
        const content = randomBytes(20 * 1024 * 1024);
        const [here, back] = [join(folder, `there-${which}`), join(folder, `back-${which}`)];
        await writeFile(here, content);
        const there = await kubectl(['cp', here, `web:/tmp/file-${which}`]);
        assert.equal(there.code, 0, there.stderr);
        const sum = await kubectl(['exec', 'web', '--', 'sha256sum', `/tmp/file-${which}`]);
        assert.equal(sum.stdout.split(' ')[0], sha256(content));
        const again = await kubectl(['cp', `web:/tmp/file-${which}`, back]);
        assert.equal(again.code, 0, again.stderr);
        assert.equal(sha256(await readFile(back)), sha256(content));
      });

      it('attach: what the first process writes', async () => {
        const { output } = spawn(program(), ['attach', 'web']);
        await until(output, /\d+\n\d+\n/);
      });

      it('port-forward: fifty connections at once', async () => {
        await startEcho('web');
        const { child } = spawn(program(), ['port-forward', 'web', ':7']);
        const forward = await untilForwarding(child);
        const contents = Array.from({ length: 50 }, () => randomBytes(64 * 1024));
        const answers = await Promise.all(contents.map((content) => exchange(forward.port, content)));
        for (const [index, answer] of answers.entries())
          assert.equal(sha256(answer), sha256(contents[index]!), `connection ${index}: ${forward.output()}`);
      });

      it('port-forward: a port on which nobody listens', async () => {
        const { child } = spawn(program(), ['port-forward', 'web', ':81']);
        const forward = await untilForwarding(child);
        await exchange(forward.port, Buffer.from('x')).catch(() => undefined);
        await until(() => forward.output(), /nothing listens on port 81 of web/);
      });

      it('logs: the end, since, with times, and not more than asked for', async () => {
        const tail = await kubectl(['logs', 'web', '--tail=3']);
        assert.equal(tail.stdout.trim().split('\n').length, 3, tail.stderr);
        assert.match((await kubectl(['logs', 'web', '--limit-bytes=9'])).stdout, /^started\n1$/);
        const timed = await kubectl(['logs', 'web', '--timestamps', '--since=1h']);
        assert.match(timed.stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z started\n/);
        assert.doesNotMatch((await kubectl(['logs', 'web', '--since=1s'])).stdout, /started/);
        const none = await kubectl(['logs', 'web', '--previous']);
        assert.equal(none.code, 1);
        assert.match(none.stderr, /previous terminated container "instance" in pod "web" not found/);
        assert.match((await kubectl(['logs', 'web', '-c', 'other'])).stderr, /container other is not valid for pod web/);
      });

      it('logs: followed through a restart, and those of the run before', async () => {
        const name = `again-${which.replace('.', '-')}`;
        await world.run(
          name,
          'echo run $(cat /proc/sys/kernel/random/uuid); until [ -e /go ]; do sleep 0.1; done; busybox rm /go; echo end',
        );
        const { output } = spawn(program(), ['logs', '-f', name]);
        await until(output, /run \S+\n/);
        const told = await kubectl(['exec', name, '--', 'busybox', 'touch', '/go']);
        assert.equal(told.code, 0, told.stderr + told.stdout);
        await until(output, /run \S+\nend\nrun \S+\n/, 40_000);
        const [first, second] = [...output().matchAll(/run \S+/gu)].map(String);
        assert.notEqual(first, second);
        assert.equal((await kubectl(['logs', name])).stdout, `${second}\n`);
        assert.equal((await kubectl(['logs', name, '--previous'])).stdout, `${first}\nend\n`);
        assert.equal((await kubectl(['logs', name, '--previous', '--tail=1'])).stdout, 'end\n');
        // A container that is thrown away for a new one leaves its logs behind.
        await world.agent.admin.patch(instances, { namespace: 'default', name }, { spec: { args: ['x'] } });
        await until(output, /run \S+\nend\nrun \S+\nrun \S+\n/, 40_000);
        assert.equal((await kubectl(['logs', name, '--previous'])).stdout, `${second}\n`);
        await world.agent.admin.patch(instances, { namespace: 'default', name }, { spec: { powerState: 'Stopped' } });
        await world.agent.until(name, ({ phase }) => assert.equal(phase, 'Stopped'));
        assert.match((await kubectl(['logs', name])).stdout, /^run \S+\n$/);
      });

      it('what does not run, in words and at once', async () => {
        const name = `idle-${which.replace('.', '-')}`;
        await world.agent.create(name, { image: 'busybox', powerState: 'Stopped' });
        const pending = await kubectl(['exec', name, '--', 'true']);
        assert.equal(pending.code, 1);
        assert.match(pending.stderr, /has no place yet/);
        assert.equal((await kubectl(['exec', 'nothing', '--', 'true'])).code, 1);
      });

      it('get, get -w, and top', async () => {
        assert.match((await kubectl(['get', 'pods,nodes'])).stdout, /pod\/web +1\/1 +Running[^]*node\/desktop/);
        const name = `seen-${which.replace('.', '-')}`;
        const { output } = spawn(program(), ['get', 'pods', '-w']);
        await until(output, /web +1\/1/);
        await world.run(name, 'sleep 100000');
        await until(output, new RegExp(`${name} +0/1 +Pending[^]*${name} +1/1 +Running`, 'u'));
        await world.agent.admin.patch(instances, { namespace: 'default', name }, { spec: { powerState: 'Stopped' } });
        await until(output, new RegExp(`${name} +0/1 +Stopped`, 'u'));
        await eventually(
          async () => {
            assert.match((await kubectl(['top', 'pods'])).stdout, /web +\d+m +\d+Mi/);
            assert.match((await kubectl(['top', 'nodes'])).stdout, /desktop +\d+m +\d+% +\d+Mi +\d+%/);
          },
          { timeoutMs: 60_000, what: 'usage', intervalMs: 1_000 },
        );
      });
    });
  }
});
