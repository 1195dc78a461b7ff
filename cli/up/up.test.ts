import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { UserError } from '../../api/errors.ts';
import { ChildError } from '../../runtime/child-process.ts';
import { formatHostPort, parseHostPort } from '../command-line/host-port.ts';
import { parseEngine } from '../engine-flag.ts';
import { TooLateError, untilTrue } from '../until-true.ts';
import { checkMachine, requireRoom } from './check-machine.ts';
import { explainFailure } from './failure.ts';
import { lockPool } from './lock.ts';
import { defaultOffer, toLabel } from './machine.ts';
import { poolPaths } from './pool-paths.ts';
import { createProgress } from './progress.ts';
import { removeHome } from './remove-home.ts';

const { signal } = new AbortController();

function isUserError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof UserError && error.code === code;
}

describe('potluck up, before anything starts,', () => {
  let home: string;
  let engine: HttpServer;
  let etcd: Server;
  let engineSocket: string;
  let etcdPort: number;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'up-'));
    engineSocket = join(home, 'engine.sock');
    engine = createHttpServer((_, response) => response.setHeader('content-type', 'application/json').end('{}')).listen(engineSocket);
    await once(engine, 'listening');
    etcd = createServer().listen(0, '127.0.0.1');
    await once(etcd, 'listening');
    etcdPort = (etcd.address() as AddressInfo).port;
  });
  afterEach(async () => {
    engine.closeAllConnections();
    engine.close();
    etcd.close();
    await rm(home, { recursive: true, force: true });
  });

  it('says that an engine of the machine does not answer', async () => {
    const listen = { host: '127.0.0.1', port: 0 };
    await assert.rejects(
      checkMachine({ home, listen, etcdServers: [`http://127.0.0.1:${etcdPort}`], engineSocket: join(home, 'none.sock') }),
      isUserError('PLK012'),
    );
  });

  it('says which port is in use and how to find who uses it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const check = checkMachine({ home, listen: { host: '127.0.0.1', port }, etcdServers: [`http://127.0.0.1:${etcdPort}`], engineSocket });
    await assert.rejects(check, (error) => isUserError('PLK001')(error) && (error as UserError).toString().includes(String(port)));
    server.close();
    await once(server, 'close');
    await checkMachine({ home, listen: { host: '127.0.0.1', port }, etcdServers: [`http://127.0.0.1:${etcdPort}`], engineSocket });
  });

  it('refuses an address that is not of this machine', async () => {
    const check = checkMachine({
      home,
      listen: { host: '192.0.2.1', port: 0 },
      etcdServers: [`http://127.0.0.1:${etcdPort}`],
      engineSocket,
    });
    await assert.rejects(check, isUserError('PLK010'));
  });

  it('says which program is missing and in which package it is', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = home;
    try {
      const listen = { host: '127.0.0.1', port: 0 };
      await assert.rejects(checkMachine({ home, listen, etcdServers: undefined, engineSocket }), (error) => {
        return isUserError('PLK002')(error) && /etcd-server.*--etcd-servers/.test((error as UserError).toString());
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('says when there is no room', async () => {
    await requireRoom(home, 1);
    await assert.rejects(requireRoom(home, 2 ** 60), isUserError('PLK004'));
  });

  it('is alone with its home, and lets go of it', async () => {
    const paths = poolPaths(home);
    const lock = await lockPool(paths, { as: 'up' });
    await assert.rejects(lockPool(paths, { as: undefined }), (error) => {
      return isUserError('PLK011')(error) && (error as UserError).message.includes(String(process.pid));
    });
    await lock.release();
    await (await lockPool(paths, { as: undefined })).release();
    assert.deepEqual(await readdir(paths.run), []);
  });
});

describe('the offer of a machine', () => {
  it('is all processors, three quarters of the memory, half of the free disk', () => {
    const gibibyte = 1024 ** 3;
    assert.deepEqual(defaultOffer({ threads: 8, memoryBytes: 16 * gibibyte, freeDiskBytes: 100 * gibibyte }), {
      cpu: '8',
      memory: '12288Mi',
      disk: '50Gi',
    });
  });

  it('is never empty and never more than the machine has', () => {
    const bytes = fc.integer({ min: 128 * 2 ** 20, max: 2 ** 45 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1024 }), bytes, bytes, (threads, memoryBytes, freeDiskBytes) => {
        const offer = defaultOffer({ threads, memoryBytes, freeDiskBytes });
        assert.equal(offer.cpu, String(threads));
        const memory = Number.parseInt(offer.memory, 10) * 2 ** 20;
        assert.ok(memory > 0 && memory <= memoryBytes);
      }),
    );
  });
});

describe('toLabel()', () => {
  it('makes labels of hostnames and users', () => {
    assert.equal(toLabel("Alan's Désktop_2", 'x'), 'alan-s-de-sktop-2');
    assert.equal(toLabel('---', 'this-machine'), 'this-machine');
  });

  it('always answers a DNS label', () => {
    fc.assert(
      fc.property(fc.string(), (text) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(toLabel(text, 'x')) && toLabel(text, 'x').length <= 63),
    );
  });
});

describe('flags of addresses', () => {
  it('are read and written back', () => {
    for (const text of ['127.0.0.1:6443', '[::1]:0', 'pool.example:443']) assert.equal(formatHostPort(parseHostPort('listen', text)), text);
    assert.deepEqual(parseHostPort('listen', ':0'), { host: '0.0.0.0', port: 0 });
    for (const text of ['', '6443', 'a:b', 'host:70000', '::1:80', '[nonsense]:1']) {
      assert.throws(() => parseHostPort('listen', text), isUserError('PLK010'), text);
    }
  });

  it('of engines are pool or a socket', () => {
    assert.equal(parseEngine('pool'), 'pool');
    assert.deepEqual(parseEngine('unix:///run/x.sock'), { socketPath: '/run/x.sock' });
    for (const text of ['docker', 'unix://x', 'tcp://127.0.0.1:1']) assert.throws(() => parseEngine(text), isUserError('PLK010'), text);
  });
});

describe('explainFailure()', () => {
  it('finds the one line that a child printed for a person', () => {
    const line = 'PLK008 etcd at https://10.0.0.1:2379 does not answer: refused. Start it, or give the right addresses. Or both';
    const error = explainFailure(new ChildError('server ended', ['{"some":"log"}', line, 'more']));
    assert.ok(error instanceof UserError);
    assert.equal(error.toString(), line);
  });

  it('leaves everything else as it is', () => {
    for (const error of [new Error('PLK008 a. b'), new ChildError('ended', ['PLK999 a. b', 'x'])])
      assert.equal(explainFailure(error), error);
  });
});

describe('untilTrue()', () => {
  it('looks until it is so, also past failures', async () => {
    let looks = 0;
    const check = (): Promise<boolean> => {
      looks += 1;
      return looks === 1 ? Promise.reject(new Error('no')) : Promise.resolve(looks === 3);
    };
    await untilTrue(check, { what: 'it', timeoutMs: 5000, intervalMs: 1, signal });
    assert.equal(looks, 3);
  });

  it('gives up in time and names the last failure', async () => {
    const wait = untilTrue(() => Promise.reject(new Error('still no')), { what: 'it', timeoutMs: 20, intervalMs: 1, signal });
    await assert.rejects(wait, (error) => error instanceof TooLateError && /for it: still no/.test(error.message));
  });
});

describe('createProgress()', () => {
  it('prints one line for each step, and marks the one that failed', async () => {
    let text = '';
    const progress = createProgress({ write: (part) => (text += part) });
    await progress.step('first', () => Promise.resolve());
    await assert.rejects(progress.step('second', () => Promise.reject(new Error('no'))));
    assert.match(text, /^✓ first {2}\d+\.\d s\n✗ second {2}\d+\.\d s\n$/);
  });
});

describe('removeHome()', () => {
  it('removes what is ours and nothing else', async () => {
    const home = await mkdtemp(join(tmpdir(), 'home-'));
    await mkdir(join(home, 'etcd/data'), { recursive: true });
    await writeFile(join(home, 'kubeconfig'), '');
    await writeFile(join(home, 'letters'), '');
    assert.deepEqual(await removeHome({ home }), [join(home, 'kubeconfig'), join(home, 'etcd')]);
    assert.deepEqual(await readdir(home), ['letters']);
    await rm(join(home, 'letters'));
    await mkdir(join(home, 'logs'));
    assert.deepEqual(await removeHome({ home }), [home]);
    assert.deepEqual(await removeHome({ home }), []);
  });
});
