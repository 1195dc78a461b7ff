import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const launcher = join(import.meta.dirname, '../../bin/potluck');

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

describe('bin/potluck', function () {
  this.timeout(60_000);
  let directory: string;

  /** Through a symlink, from another directory, with the system's Node first on the PATH. */
  async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
    const path = (process.env['PATH'] ?? '').split(':').filter((entry) => !entry.includes('node_modules'));
    const child = spawn(join(directory, 'potluck'), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: directory,
      env: { ...process.env, PATH: path.join(':'), ...env },
      timeout: 25_000,
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code: child.exitCode, stdout, stderr };
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cli-'));
    await symlink(launcher, join(directory, 'potluck'));
  });
  after(() => rm(directory, { recursive: true }));

  it('explains every command', async () => {
    const overview = await run(['--help']);
    assert.equal(overview.code, 0);
    const commands = [...overview.stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map((match) => match[1] ?? '');
    assert.deepEqual(commands.sort(), ['agent', 'down', 'image', 'join', 'leave', 'member', 'server', 'status', 'token', 'up']);
    for (const command of commands) {
      const { code, stdout } = await run([command, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^potluck ${command}: .*(--home DIR|potluck ${command} COMMAND --help)`, 's'));
    }
  });

  it('answers mistakes in one line that names what was meant', async () => {
    for (const [args, message] of [
      [['statsu'], /^PLK010 there is no command "statsu"\. Did you mean status\?\n$/],
      [['up', '--lisen', ':0'], /^PLK010 .*Did you mean --listen\?\n$/],
      [['server', '--components=api,gatway'], /^PLK010 .*"gatway".*\n$/],
      [['status', '-o', 'yaml'], /^PLK010 .*one of text, json\n$/],
    ] as const) {
      const { code, stdout, stderr } = await run(args);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, message);
    }
  });

  it('says in one line that a port is taken, and starts nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const { code, stderr } = await run(['up', '--home', join(directory, 'home'), '--listen', `127.0.0.1:${port}`]);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`^PLK001 127\\.0\\.0\\.1:${port} is in use\\. .*--listen.*\n$`));
    } finally {
      server.close();
    }
  });

  it('says in one line that an engine does not answer, and starts nothing', async () => {
    const home = join(directory, 'home');
    const { code, stdout, stderr } = await run([
      'up',
      '--home',
      home,
      '--listen',
      '127.0.0.1:0',
      '--engine',
      `unix://${directory}/none.sock`,
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^PLK012 .*none\.sock does not answer\. .*\n$/);
    assert.equal(stdout, '');
  });

  it('says that there is no pool', async () => {
    const { code, stdout } = await run(['status', '-o', 'json', '--home', join(directory, 'nothing')]);
    assert.equal(code, 1);
    const { ready, message } = JSON.parse(stdout) as { ready: boolean; message: string };
    assert.equal(ready, false);
    assert.match(message, /there is no pool in .*nothing/);
  });

  it('says in one line that etcd cannot be reached', async () => {
    const home = join(directory, 'home');
    const { code, stderr } = await run(['up', '--home', home, '--listen', '127.0.0.1:0', '--etcd-servers', 'http://127.0.0.1:1']);
    assert.equal(code, 1);
    assert.match(stderr, /^PLK008 etcd at http:\/\/127\.0\.0\.1:1 does not answer.*\n$/);
  });
});
