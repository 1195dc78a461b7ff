/** The jump host against clients that do not keep to the protocol. What it leads to is the machine's own sshd, or a source that never ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Refused } from '../../gateway/ssh/jump-connection.ts';
import type { WayRequest } from '../../gateway/ssh/jump-connection.ts';
import { listenForJumps } from '../../gateway/ssh/jump-server.ts';
import type { JumpServer } from '../../gateway/ssh/jump-server.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { makeSshKeyPair } from '../../runtime/ssh-key-pair.ts';
import { eventually } from '../support/eventually.ts';
import { startPlainSshd } from '../support/plain-sshd.ts';
import type { PlainSshd } from '../support/plain-sshd.ts';
import { runClient } from '../support/ssh-entry.ts';
import type { Ended } from '../support/ssh-entry.ts';

describe('the jump host', function () {
  this.timeout(120_000);
  let directory: string;
  let plain: PlainSshd;
  let jump: JumpServer;
  const holders = new Map<string, string>();
  let opened: WayRequest[] = [];
  const cuts = new Set<(why: string) => void>();
  let produced = 0;

  async function makeKey(name: string, type = 'ed25519'): Promise<{ file: string; line: string }> {
    const file = join(directory, name);
    await runClient('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', file]);
    return { file, line: (await readFile(`${file}.pub`, 'utf8')).trim() };
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'potluck-jump-'));
    const { line } = await makeKey('id');
    holders.set(line, 'toto');
    plain = await startPlainSshd(line);
    jump = await listenForJumps({
      listen: { host: '127.0.0.1', port: 0 },
      hostKey: makeSshKeyPair('test').privatePem,
      holderOf: (key) => holders.get(key),
      open: async (request) => {
        opened.push(request);
        const onCut = (cut: (why: string) => void): (() => void) => {
          cuts.add(cut);
          return () => cuts.delete(cut);
        };
        if (request.host === 'endless.toto.potluck') return { stream: endless(), sessionId: 'e', instance: 'toto/endless', onCut };
        if (request.host === 'sink.toto.potluck') return { stream: sink(), sessionId: 'u', instance: 'toto/sink', onCut };
        if (request.host !== 'box.toto.potluck' || request.port !== 22) throw new Refused('your key opens no such instance');
        const stream: Socket = connect(plain.port, '127.0.0.1');
        await once(stream, 'connect');
        return { stream, sessionId: 's', instance: 'toto/box', onCut };
      },
      logger: silentLogger,
    });
  });
  after(async () => {
    await jump.close();
    await plain.stop();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(() => {
    opened = [];
  });

  function endless(): Duplex {
    const chunk = Buffer.alloc(64 * 1024);
    return new Duplex({
      read() {
        produced += chunk.length;
        this.push(chunk);
      },
      write: (_chunk, _encoding, done) => done(),
    });
  }

  function sink(): Duplex {
    return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => void setTimeout(done, 1) });
  }

  const base = (key: string): string[] => {
    const set = {
      IdentitiesOnly: 'yes',
      IdentityFile: join(directory, key),
      StrictHostKeyChecking: 'no',
      UserKnownHostsFile: '/dev/null',
      LogLevel: 'INFO',
      User: 'root',
    };
    return ['-F', 'none', ...Object.entries(set).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  };
  const jumpOptions = (key: string): string[] => [
    ...base(key),
    '-o',
    `ProxyCommand=ssh ${base(key).join(' ')} -W %h:%p -p ${jump.port} 127.0.0.1`,
  ];
  const reach = (host: string, ...command: string[]): Promise<Ended> => runClient('ssh', [...jumpOptions('id'), host, ...command]);
  const goodClient = async (): Promise<number> => {
    const startMs = performance.now();
    const { code, stdout, stderr } = await reach('box.toto.potluck', 'echo in');
    assert.deepEqual([code, stdout], [0, 'in\n'], stderr);
    return performance.now() - startMs;
  };

  it('leads to an instance, with every type of key', async () => {
    await goodClient();
    for (const type of ['rsa', 'ecdsa']) {
      const { line } = await makeKey(type, type);
      holders.set(line, 'toto');
      const { stderr } = await runClient('ssh', [...base(type), '-p', String(jump.port), '127.0.0.1', 'true']);
      assert.match(stderr, /this is the jump host of a pool/, type);
    }
  });

  it('refuses everything but names of instances, with a sentence', async () => {
    for (const [host, port] of [
      ['127.0.0.1', 2379],
      ['localhost', jump.port],
      ['other.titi.potluck', 22],
      ['10.0.0.1', 22],
      ['box.toto.potluck', 23],
    ] as const) {
      const { code, stderr } = await runClient('ssh', [...jumpOptions('id'), '-p', String(port), host, 'true']);
      assert.equal(code, 255);
      assert.match(stderr, /open failed: administratively prohibited: your key opens no such instance/, host);
    }
    const direct = (...args: string[]): Promise<Ended> => runClient('ssh', [...base('id'), '-p', String(jump.port), ...args]);
    for (const args of [['127.0.0.1'], ['127.0.0.1', 'id'], ['-s', '127.0.0.1', 'sftp'], ['-tt', '127.0.0.1']]) {
      const { code, stderr } = await direct(...args);
      assert.equal(code, 255);
      assert.match(stderr, /this is the jump host of a pool; it leads to instances/, args.join(' '));
    }
    const remote = await direct('-N', '-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:22', '127.0.0.1');
    assert.equal(remote.code, 255);
  });

  it('lets in no key that it does not know, no password, and no weak algorithm', async () => {
    await makeKey('stranger');
    const stranger = await runClient('ssh', [...base('stranger'), '-p', String(jump.port), '127.0.0.1', 'true']);
    assert.match(stranger.stderr, /Permission denied \(publickey\)/);
    const weak = await runClient('ssh', [
      ...base('id'),
      '-o',
      'KexAlgorithms=diffie-hellman-group14-sha1',
      '-p',
      String(jump.port),
      '127.0.0.1',
      'true',
    ]);
    assert.match(weak.stderr, /no matching key exchange method/);
  });

  it('believes no signature by what the client says of the key', async () => {
    const { default: ssh2 } = (await import('ssh2')) as unknown as {
      default: { Client: new () => HostileClient; utils: { parseKey(key: string): ParsedKey } };
    };
    const known = [...holders.keys()].find((line) => line.startsWith('ssh-ed25519')) ?? '';
    const blob = Buffer.from(known.split(' ')[1] ?? '', 'base64');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    // What is claimed is the known key's blob; what signs is another key, under several names of algorithms.
    for (const [type, hash] of [
      ['ssh-rsa', 'sha256'],
      ['ssh-rsa', 'sha512'],
      ['ssh-ed25519', undefined],
      ['ecdsa-sha2-nistp256', undefined],
    ] as const) {
      const forged: ParsedKey = {
        type,
        comment: '',
        isPrivateKey: () => true,
        getPublicSSH: () => blob,
        getPublicPEM: () => '',
        sign: (data: Buffer) => sign(hash ?? 'sha256', data, privateKey),
        verify: () => true,
        equals: () => true,
      };
      const client = new ssh2.Client();
      const outcome = new Promise<string>((resolve) => {
        client
          .on('ready', () => resolve('ready'))
          .on('error', (error: Error) => resolve(error.message))
          .on('close', () => resolve('closed'));
      });
      client.connect({
        host: '127.0.0.1',
        port: jump.port,
        username: 'root',
        authHandler: [{ type: 'publickey', username: 'root', key: forged }],
      });
      assert.notEqual(await outcome, 'ready', type);
      client.end();
    }
    assert.deepEqual(opened, []);
  });

  it('stays small before a client that advertises 2 GiB and stops reading, and serves others meanwhile', async () => {
    const { default: ssh2 } = (await import('ssh2')) as unknown as { default: { Client: new () => HostileClient } };
    const client = new ssh2.Client();
    const privateKey = await readFile(join(directory, 'id'), 'utf8');
    const before = process.memoryUsage().rss;
    produced = 0;
    const socket = await new Promise<Socket>((resolve, reject) => {
      client.on('error', reject).on('ready', () => {
        client.forwardOut('127.0.0.1', 1, 'endless.toto.potluck', 22, (error, channel) => {
          if (error !== undefined) reject(error);
          channel.on('error', () => undefined);
          client._protocol.channelWindowAdjust(channel.outgoing.id, 0x7fff_ffff);
          setTimeout(() => {
            client._sock.pause();
            resolve(client._sock);
          }, 50);
        });
      });
      client.connect({ host: '127.0.0.1', port: jump.port, username: 'root', privateKey });
    });
    await eventually(
      async () => {
        const seen = produced;
        await delay(500);
        assert.equal(produced, seen);
      },
      { timeoutMs: 20_000, what: 'the source to be held back' },
    );
    assert.ok(produced < 100e6, `${produced} bytes were taken from the instance`);
    assert.ok(process.memoryUsage().rss - before < 100e6, 'memory');
    await goodClient();
    socket.destroy();
    client.end();
  });

  it('takes ten half-open connections of one network, and lets a good client in when they are gone', async () => {
    const sockets = Array.from({ length: 500 }, () => connect(jump.port, '127.0.0.1').on('error', () => undefined));
    const closed = (): number => sockets.filter((socket) => socket.destroyed).length;
    await eventually(() => assert.equal(closed(), 490), { timeoutMs: 10_000, what: 'all but ten to be closed' });
    const fromElsewhere = await runClient('ssh', [...base('id'), '-b', '127.9.9.9', '-p', String(jump.port), '127.0.0.1', 'true']);
    assert.match(fromElsewhere.stderr, /jump host of a pool/, 'another network has room of its own');
    for (const socket of sockets) socket.destroy();
    await eventually(goodClient, { timeoutMs: 30_000, what: 'a good client to get in' });
  });

  it('cuts what was open when the key opens no more', async () => {
    const { line } = await makeKey('leaver');
    holders.set(line, 'titi');
    const child = spawn('ssh', [...base('leaver'), '-N', '-W', 'endless.toto.potluck:22', '-p', String(jump.port), '127.0.0.1'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await eventually(() => assert.ok(opened.some(({ member }) => member === 'titi')), { timeoutMs: 20_000, what: 'the way' });
    holders.delete(line);
    const startMs = performance.now();
    const ended = once(child, 'exit');
    jump.checkKeys();
    await ended;
    assert.ok(performance.now() - startMs < 2_000);
    await eventually(() => assert.equal(cuts.size, 0), { timeoutMs: 2_000, what: 'everything to be let go of' });
  });

  for (const [what, host, input] of [
    ['an endless download', 'endless.toto.potluck', 'ignore'],
    ['an endless upload', 'sink.toto.potluck', 'pipe'],
  ] as const) {
    it(`cuts ${what}, and is as it was afterwards`, async () => {
      const child = spawn('ssh', [...base('id'), '-W', `${host}:22`, '-p', String(jump.port), '127.0.0.1'], {
        stdio: [input, 'ignore', 'ignore'],
      });
      child.stdin?.on('error', () => undefined);
      const feed = setInterval(() => child.stdin?.writable === true && child.stdin.write(Buffer.alloc(1024 * 1024)), 1);
      await eventually(() => assert.equal(cuts.size, 1), { timeoutMs: 20_000, what: 'the way' });
      await delay(500);
      const ended = once(child, 'exit');
      const startMs = performance.now();
      for (const cut of cuts) cut('the test says so');
      await ended;
      clearInterval(feed);
      assert.ok(performance.now() - startMs < 2_000);
      await eventually(() => assert.equal(cuts.size, 0), { timeoutMs: 2_000, what: 'everything to be let go of' });
      const [cpuBefore, memoryBefore] = [process.cpuUsage(), process.memoryUsage().rss];
      await delay(500);
      const { user, system } = process.cpuUsage(cpuBefore);
      assert.ok(user + system < 300_000, `it goes on using the processor: ${user + system} us in half a second`);
      assert.ok(process.memoryUsage().rss - memoryBefore < 50e6);
      await goodClient();
    });
  }
});

interface ParsedKey {
  type: string;
  comment: string;
  isPrivateKey(): boolean;
  getPublicSSH(): Buffer;
  getPublicPEM(): string;
  sign(data: Buffer): Buffer;
  verify(): boolean;
  equals(): boolean;
}

interface HostileClient {
  _sock: Socket;
  _protocol: { channelWindowAdjust(id: number, bytes: number): void };
  on(event: string, listener: (error: Error) => void): this;
  connect(options: object): void;
  end(): void;
  forwardOut(
    from: string,
    fromPort: number,
    to: string,
    port: number,
    done: (error: Error | undefined, channel: Duplex & { outgoing: { id: number } }) => void,
  ): void;
}
