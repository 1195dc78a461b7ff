/** What people do with OpenSSH's own clients, in three kinds of image, held against the machine's own sshd. The agent's handler is entered directly. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import Docker from 'dockerode';
import { debianRootfs } from '../support/debian-rootfs.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { importTestImage, testImage } from '../support/image.ts';
import { startPlainSshd } from '../support/plain-sshd.ts';
import type { PlainSshd } from '../support/plain-sshd.ts';
import { runClient, startSshEntry } from '../support/ssh-entry.ts';
import type { Ended, EnteredInstance, SshEntry } from '../support/ssh-entry.ts';

const emptyImage = 'potluck-test/empty:1';
const debianImage = 'potluck-test/debian:12';
const megabytes = 100;
const busybox = '/.potluck/current/bin/busybox';

describe('an instance entered by SSH', function () {
  this.timeout(300_000);
  let dockerd: TestDockerd;
  let entry: SshEntry;
  let plain: PlainSshd;
  let bigFile: string;
  before(async () => {
    dockerd = await startTestDockerd();
    const docker = new Docker({ socketPath: dockerd.socketPath });
    await importTestImage(dockerd.socketPath);
    const tars: [string, Readable, string[]][] = [
      // Two blocks of zeros: an archive of nothing.
      [emptyImage, Readable.from([Buffer.alloc(1024)]), ['USER 1234']],
      [debianImage, createReadStream(await debianRootfs()), []],
    ];
    for (const [name, tar, changes] of tars) {
      const [repo, tag] = name.split(':');
      const stream = await docker.importImage(tar, { repo, tag, changes } as object);
      stream.resume();
      await once(stream, 'end');
    }
    entry = await startSshEntry(dockerd.socketPath);
    plain = await startPlainSshd(entry.publicKey);
    bigFile = join(entry.directory, 'big');
    await writeFile(bigFile, randomBytes(megabytes * 1024 * 1024));
  });
  after(async () => {
    await plain.stop();
    await entry.stop();
    await dockerd.stop();
  });

  for (const [name, image] of [
    ['debian', debianImage],
    ['busybox', testImage],
    ['empty', emptyImage],
  ] as const) {
    describe(`with the image ${name}`, () => {
      let instance: EnteredInstance;
      before(async () => {
        instance = await entry.make(name, image);
      });
      const ssh = (...args: string[]): Promise<Ended> => runClient('ssh', [...entry.options(instance), ...args]);

      it('answers codes, output and errors as a plain sshd does', async () => {
        for (const command of [
          'exit 0',
          'exit 7',
          'exit 255',
          'kill -9 $$',
          'kill -TERM $$',
          'echo out; echo err >&2; exit 3',
          'cat',
          'no-such-program',
        ]) {
          const [ours, theirs] = [
            await runClient('ssh', [...entry.options(instance), name, command], 'in\n'),
            await runClient('ssh', [...plain.options(entry.keyFile), '127.0.0.1', command], 'in\n'),
          ];
          assert.deepEqual([ours.code, ours.stdout], [theirs.code, theirs.stdout], command);
          if (command.startsWith('echo')) assert.equal(ours.stderr, 'err\n');
          if (command.startsWith('exit')) assert.equal(ours.stderr, '', command);
        }
      });

      it('carries files both ways whole, by both protocols of scp, by sftp and by rsync', async () => {
        const options = entry.options(instance);
        const wanted = await sha256(bigFile);
        for (const protocol of [[], ['-O']]) {
          const back = join(entry.directory, `back-${name}`);
          const there = await runClient('scp', [...protocol, ...options, bigFile, `${name}:/tmp/big`]);
          assert.deepEqual([there.code, there.stderr], [0, ''], protocol.join());
          assert.match((await ssh(name, `${busybox} sha256sum /tmp/big`)).stdout, new RegExp(`^${wanted} `));
          assert.equal((await runClient('scp', [...protocol, ...options, `${name}:/tmp/big`, back])).code, 0);
          assert.equal(await sha256(back), wanted);
          await rm(back);
          await ssh(name, `${busybox} rm /tmp/big`);
        }
        const batch = 'mkdir /tmp/d\nput /etc/hostname /tmp/d/h\nrename /tmp/d/h /tmp/d/i\nls /tmp/d\nexit\n';
        const sftp = await runClient('sftp', ['-b', '-', ...options, name], batch);
        assert.equal(sftp.code, 0, sftp.stderr);
        assert.match(sftp.stdout, /\/tmp\/d\/i/);
        await rsyncBothWays(name, options);
      });

      async function rsyncBothWays(host: string, options: string[]): Promise<void> {
        const tree = join(entry.directory, `tree-${host}`);
        await mkdir(join(tree, 'sub'), { recursive: true });
        await writeFile(join(tree, 'a'), 'one');
        await writeFile(join(tree, 'sub/b'), 'two');
        const shell = ['ssh', ...options].map((word) => `'${word}'`).join(' ');
        const rsync = (...args: string[]): Promise<Ended> => runClient('rsync', ['-a', '--delete', '-e', shell, ...args]);
        assert.deepEqual(await rsync(`${tree}/`, `${host}:/tmp/tree/`), { code: 0, stdout: '', stderr: '' });
        await rm(join(tree, 'a'));
        assert.equal((await rsync(`${tree}/`, `${host}:/tmp/tree/`)).code, 0);
        assert.equal((await ssh(host, `cd /tmp/tree && ${busybox} find . -type f`)).stdout, './sub/b\n');
        assert.equal((await rsync(`${host}:/tmp/tree/`, `${tree}-back/`)).code, 0);
        assert.equal(await readFile(`${tree}-back/sub/b`, 'utf8'), 'two');
      }

      it('forwards ports both ways, a proxy and an agent', async () => {
        const inner = 7777;
        await instance.inside(busybox, 'sh', '-c', `${busybox} nc -ll -p ${inner} -e ${busybox} cat > /dev/null 2>&1 &`);
        const [local, socks] = [await freePort(), await freePort()];
        const child = spawn('ssh', [...entry.options(instance), '-N', '-L', `${local}:127.0.0.1:${inner}`, '-D', String(socks), name], {
          stdio: 'ignore',
        });
        try {
          const echo = (): Promise<string> => talk(local, Buffer.alloc(0), 'by -L\n');
          assert.equal(await eventually(echo, { timeoutMs: 20_000, what: '-L' }), 'by -L\n');
          // Version 5, no authentication; connect to an IPv4 address.
          const request = Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, inner >> 8, inner & 255]);
          assert.match(await talk(socks, request, 'by -D\n'), /by -D\n$/);
        } finally {
          child.kill('SIGTERM');
          await once(child, 'exit');
        }
        const server = createServer((socket) => socket.end('by -R\n')).listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        const remote = await ssh(
          '-o',
          'ExitOnForwardFailure=yes',
          '-R',
          `7788:127.0.0.1:${port}`,
          name,
          `${busybox} nc 127.0.0.1 7788 < /dev/null`,
        );
        server.close();
        assert.equal(remote.stdout, 'by -R\n', remote.stderr);
        const agent = await runClient('ssh-agent', [
          'ssh',
          ...entry.options(instance),
          '-A',
          name,
          '[ -S "$SSH_AUTH_SOCK" ] && echo agent',
        ]);
        assert.equal(agent.stdout, 'agent\n', agent.stderr);
      });

      it('has terminals that greet, that are resized, and that tmux comes back to', async () => {
        const command = `${busybox} stty size; read x; ${busybox} stty size; exit 5`;
        const resized = await inTerminal(instance, [name, command], async (terminal) => {
          await terminal.until(/33 91/);
          await terminal.resize(50, 120);
          terminal.type('\n');
        });
        assert.match(resized.output, /50 120/);
        assert.equal(resized.code, 5);
        assert.doesNotMatch(resized.output, /Welcome/, 'who asks for a command is not greeted');
        const login = await inTerminal(instance, [name], async (terminal) => {
          await terminal.until(/Welcome to /);
          terminal.type('echo $((6 * 7))-$GIVEN; exit 4\n');
        });
        assert.match(login.output, /42-a "b" \\c \$d #e/);
        assert.equal(login.code, 4);
        assert.deepEqual(await ssh(name, 'tmux -f /dev/null new-session -d -s kept'), { code: 0, stdout: '', stderr: '' });
        const attached = await inTerminal(instance, [name, 'tmux attach -t kept'], async (terminal) => {
          await terminal.until(/\[kept\]/);
          terminal.type('\u0002d');
        });
        assert.equal(attached.code, 0, attached.output);
        assert.match((await ssh(name, 'tmux ls')).stdout, /^kept: /);
      });

      it('lets nobody in with another key or a password', async () => {
        const { file } = await entry.makeKey(`stranger-${name}`);
        const stranger = await runClient('ssh', [...entry.options(instance, file), name, 'true']);
        assert.equal(stranger.code, 255);
        assert.match(stranger.stderr, /Permission denied \(publickey\)/);
      });

      it('ends a session and all that it started within two seconds when its key opens no more, and no other', async () => {
        const other = await entry.makeKey(`other-${name}`);
        const { instance: object } = instance;
        const keys = [...(object.status?.ssh?.authorizedKeys ?? []), { member: 'titi', key: other.publicKey }];
        Object.assign(object.status!.ssh!, { authorizedKeys: keys });
        // Cut off from its terminal, its parents and its environment.
        const escape = `${busybox} env -i ${busybox} setsid ${busybox} sleep 98765 > /dev/null 2>&1 < /dev/null & `;
        const cut = spawn('ssh', [...entry.options(instance, other.file), name, `${escape} echo started; ${busybox} sleep 98764`]);
        const kept = spawn('ssh', [...entry.options(instance), name, 'echo started; cat']);
        let echoed = '';
        kept.stdout.on('data', (chunk: Buffer) => (echoed += chunk.toString()));
        await Promise.all([once(cut.stdout, 'data'), once(kept.stdout, 'data')]);
        const processes = async (): Promise<string> => instance.inside(busybox, 'ps');
        assert.match(await processes(), /sleep 98765/);
        const startMs = performance.now();
        Object.assign(object.status!.ssh!, { authorizedKeys: keys.filter(({ member }) => member !== 'titi') });
        const ended = once(cut, 'exit');
        instance.changed();
        await ended;
        await eventually(async () => assert.doesNotMatch(await processes(), /9876[45]/), {
          timeoutMs: 2_000,
          what: 'its processes to end',
        });
        assert.ok(performance.now() - startMs < 2_000, `it took ${performance.now() - startMs} ms`);
        kept.stdin.end('still here\n');
        await once(kept, 'exit');
        assert.equal(echoed, 'started\nstill here\n');
      });
    });
  }

  describe('afterwards', () => {
    it('is told in events, with whose key it was', () => {
      const opened = entry.events.find(({ reason }) => reason === 'SessionOpened');
      assert.match(opened?.message ?? '', /^toto came in by SSH as potluck, with the key SHA256:/);
      assert.ok(entry.events.some(({ reason, message }) => reason === 'SessionClosed' && /titi left SSH .* cut: the key/.test(message)));
    });
  });

  interface Terminal {
    until(pattern: RegExp): Promise<void>;
    type(text: string): void;
    resize(rows: number, columns: number): Promise<void>;
  }

  /** Under a pseudo-terminal of 33 rows and 91 columns. */
  async function inTerminal(
    instance: EnteredInstance,
    args: readonly string[],
    use: (terminal: Terminal) => Promise<void>,
  ): Promise<{ output: string; code: number | null }> {
    const ttyFile = join(entry.directory, 'tty');
    const quoted = ['ssh', '-tt', ...entry.options(instance), ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const child = spawn('script', ['-qec', `tty > ${ttyFile}; stty rows 33 cols 91; exec ${quoted}`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm' },
      timeout: 60_000,
    });
    const exited = once(child, 'exit');
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await use({
      until: async (pattern) => {
        await eventually(() => assert.match(output, pattern), { timeoutMs: 20_000, what: `the terminal to show ${pattern.source}` });
      },
      type: (text) => child.stdin.write(text),
      resize: async (rows, columns) => {
        const tty = (await readFile(ttyFile, 'utf8')).trim();
        assert.equal((await runClient('stty', ['-F', tty, 'rows', String(rows), 'cols', String(columns)])).code, 0);
      },
    });
    const [code] = (await exited) as [number | null];
    return { output, code };
  }
});

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Sends both and answers what comes back until `text` does. */
async function talk(port: number, before: Buffer, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setTimeout(10_000, () => socket.destroy(new Error('nothing comes back')));
  socket.write(Buffer.concat([before, Buffer.from(text)]));
  let answer = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    answer += chunk.toString('latin1');
    if (answer.endsWith(text)) break;
  }
  socket.destroy();
  if (!answer.endsWith(text)) throw new Error(`only ${JSON.stringify(answer)} came back`);
  return answer;
}
