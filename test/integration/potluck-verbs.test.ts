/** `potluck exec`, `logs` and `port-forward`, and the same by Kubernetes' JavaScript client, through every real part. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Attach, Exec, KubeConfig, Log, PortForward, type V1Status } from '@kubernetes/client-node';
import { eventually } from '../support/eventually.ts';
import { exchange } from '../support/kubectl-forward.ts';
import { VerbsWorld } from '../support/verbs-world.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');
const terminal = join(import.meta.dirname, '../support/terminal.py');
/** Busybox takes two connections at a time. */
const serve = 'busybox --install -s /bin; nc -ll -p 7 -e cat & echo started; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done';

describe('an instance', function () {
  this.timeout(90_000);
  let world: VerbsWorld;
  const children = new Set<ChildProcessWithoutNullStreams>();

  before(async () => {
    world = await VerbsWorld.start();
    await world.run('web', serve);
  });
  afterEach(async () => {
    for (const child of children) await VerbsWorld.end(child);
    children.clear();
  });
  after(() => world.stop());

  function start(command: string, args: readonly string[]): { child: ChildProcessWithoutNullStreams; output: () => string } {
    const child = world.spawn(command, args);
    children.add(child);
    let all = '';
    child.stdout.on('data', (chunk) => (all += String(chunk)));
    child.stderr.on('data', (chunk) => (all += String(chunk)));
    return { child, output: () => all };
  }

  const potluckArgs = (args: readonly string[]): string[] => [main, ...args];

  async function potluck(args: readonly string[], input?: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = world.spawn(process.execPath, potluckArgs(args));
    children.add(child);
    child.stdin.end(input);
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  }

  function until(output: () => string, pattern: RegExp): Promise<unknown> {
    return eventually(() => assert.match(output(), pattern), { timeoutMs: 20_000, what: String(pattern), intervalMs: 50 });
  }

  describe('by potluck', () => {
    it('exec: input, both outputs, and the exit code', async () => {
      const ended = await potluck(['exec', '-i', 'web', '--', 'sh', '-c', 'cat; echo oops >&2; exit 7'], 'hello\n');
      assert.deepEqual(ended, { code: 7, stdout: 'hello\n', stderr: 'oops\n' });
      const help = await potluck(['exec', 'web', '--', 'echo', '--help']);
      assert.deepEqual([help.code, help.stdout], [0, '--help\n'], help.stderr);
    });

    it('exec: a terminal that changes its size', async () => {
      const { child, output } = start('python3', [terminal, process.execPath, ...potluckArgs(['exec', '-it', 'web', '--', 'sh'])]);
      await until(output, /# /);
      child.stdin.write('size 133 41\n');
      const asking = setInterval(() => child.stdin.write('type busybox stty size\n'), 200);
      await until(output, /41 133/).finally(() => clearInterval(asking));
      child.stdin.write('type exit 3\n');
      const [code] = (await once(child, 'exit')) as [number];
      assert.equal(code, 3, output());
    });

    it('logs', async () => {
      const tail = await potluck(['logs', 'web', '--tail', '2']);
      assert.match(tail.stdout, /^\d+\n\d+\n$/, tail.stderr);
      const { output } = start(process.execPath, potluckArgs(['logs', '-f', 'web']));
      await until(output, /started\n1\n2\n3\n/);
    });

    it('port-forward: each way ends by itself', async () => {
      const { output } = start(process.execPath, potluckArgs(['port-forward', 'web', ':7']));
      await until(output, /Forwarding 127\.0\.0\.1:\d+ to port 7 of web/);
      const port = Number(/127\.0\.0\.1:(\d+)/u.exec(output())?.[1]);
      for (let round = 0; round < 5; round += 1) {
        const content = randomBytes(300_000);
        assert.ok((await exchange(port, content)).equals(content));
      }
    });

    it('says what it cannot do in one line, at once', async () => {
      await world.agent.create('idle', { image: 'busybox' });
      for (const [args, message] of [
        [['exec', 'nothing', '--', 'true'], /^PLK024 the API refused: .*nothing.*Check the name\n$/],
        [['exec', 'idle', '--', 'true'], /^PLK024 the API refused: default\/idle has no place yet/],
        [['logs', 'web', '--previous'], /^PLK024 the API refused: previous terminated container .* not found/],
        [['logs', 'web', '--tail', 'x'], /^PLK010 --tail x is no number of lines/],
        [['port-forward', 'web', 'x'], /^PLK010 x is no port/],
        [['exec', '-t', 'web', '--', 'true'], /^PLK010 --tty needs a terminal/],
        [['exec', 'web'], /^PLK010 potluck exec: COMMAND is missing/],
      ] as const) {
        const { code, stdout, stderr } = await potluck(args);
        assert.deepEqual([code, stdout], [1, ''], args.join(' '));
        assert.match(stderr, message);
      }
    });
  });

  describe('by Kubernetes’ JavaScript client', () => {
    let config: KubeConfig;

    before(() => {
      config = new KubeConfig();
      config.loadFromFile(world.api.kubeconfigPath);
    });

    function collect(): { stream: Writable; text: () => string } {
      let all = '';
      const write = (chunk: Buffer, _encoding: string, done: () => void): void => {
        all += chunk.toString();
        done();
      };
      return { stream: new Writable({ write }), text: () => all };
    }

    it('Exec', async () => {
      const [out, err] = [collect(), collect()];
      const { promise, resolve } = Promise.withResolvers<V1Status>();
      const command = ['sh', '-c', 'head -n 1; echo oops >&2; exit 5'];
      await new Exec(config).exec(
        'default',
        'web',
        'instance',
        command,
        out.stream,
        err.stream,
        Readable.from(['hello\n']),
        false,
        resolve,
      );
      const status = await promise;
      assert.deepEqual([status.reason, status.details?.causes?.[0]?.message], ['NonZeroExitCode', '5']);
      assert.deepEqual([out.text(), err.text()], ['hello\n', 'oops\n']);
    });

    it('Attach', async () => {
      const out = collect();
      const attached: unknown = await new Attach(config).attach('default', 'web', 'instance', out.stream, null, null, false);
      await until(out.text, /\d+\n\d+\n/);
      (attached as { close: () => void }).close();
    });

    it('Log', async () => {
      const out = new PassThrough();
      await new Log(config).log('default', 'web', 'instance', out, { tailLines: 2 });
      assert.match(await text(out), /^\d+\n\d+\n$/);
    });

    it('PortForward', async () => {
      const forward = new PortForward(config);
      const server = createServer((socket) => {
        void forward.portForward('default', 'web', [7], socket, null, socket);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        const { port } = server.address() as AddressInfo;
        const socket = connect(port, '127.0.0.1');
        socket.write('hello');
        const [answer] = (await once(socket, 'data')) as [Buffer];
        assert.equal(answer.toString(), 'hello');
        socket.destroy();
      } finally {
        server.close();
      }
    });
  });
});
