/** The walls around instances: from inside one nothing but the internet and the name server can be reached, and nothing gets in. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bridgeOf } from '../../node-agent/engine/pool-subnet.ts';
import type { PoolSubnets } from '../../node-agent/engine/pool-subnet.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { impersonate, reachFor, reachNeighbour, tryHard } from '../support/attack.ts';
import { knockPort, startCapture } from '../support/capture.ts';
import type { Capture } from '../support/capture.ts';
import { eventually } from '../support/eventually.ts';
import { internetAddress } from '../support/host-namespace.ts';
import { makePoolMachine } from '../support/pool-machine.ts';
import type { MachineContainer, PoolMachine } from '../support/pool-machine.ts';

const nameServer = '192.168.50.53';
const answer = '198.51.100.77';
/** On the LAN or beyond it, each behind the machine's gateway. */
const lanAddresses = ['192.168.50.2', nameServer, '169.254.169.254', '100.64.0.9', '10.99.0.9', '172.20.0.9'];
/** The machine's own: on its LAN, and one that looks like the internet's. */
const publicHostAddress = '198.51.100.1';

interface Link {
  address: string;
  mac: string;
}

describe('the walls around instances', function () {
  this.timeout(110_000);
  let machine: PoolMachine;
  let fake: string;
  let responder: ChildProcess;
  let attacker: MachineContainer;
  let victim: MachineContainer;
  let links: { attacker: Link; victim: Link };
  let gateway: string;
  let hostLink: string;

  before(async () => {
    fake = await mkdtemp(join(tmpdir(), 'potluck-fake-'));
    // An nft that does not work when it is told to: for walls that cannot be put up.
    await writeFile(join(fake, 'nft'), `#!/bin/sh\n[ ! -e ${fake}/broken ] || exit 1\nexec /usr/sbin/nft "$@"\n`, { mode: 0o755 });
    machine = await makePoolMachine({ nameServer, environment: { PATH: `${fake}:${process.env['PATH'] ?? ''}` } });
    const { host, paths } = machine;
    const inLan = (...args: string[]): Promise<string> => runCommand('nsenter', [`--net=${host.lan}`, ...args]);
    for (const address of lanAddresses.slice(1)) await inLan('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    await host.run('ip', 'address', 'add', `${publicHostAddress}/32`, 'dev', 'lo');
    const program = join(import.meta.dirname, '../support/name-server-process.ts');
    const args = [`--net=${host.lan}`, process.execPath, program, nameServer, answer];
    responder = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(responder.stdout!, 'data');
    const { subnets } = JSON.parse(await readFile(paths.state, 'utf8')) as { subnets: PoolSubnets };
    ({ gateway } = bridgeOf(subnets));
    hostLink = subnets.hostAddress;
    [attacker, victim] = [await machine.run(), await machine.run()];
    links = { attacker: await linkOf(attacker), victim: await linkOf(victim) };
    // The machine's addresses of today are in the rules after the next upkeep.
    await untilClosed(publicHostAddress);
  });

  after(async () => {
    responder.kill('SIGKILL');
    await machine.remove();
    await rm(fake, { recursive: true, force: true });
  });

  async function linkOf(container: MachineContainer): Promise<Link> {
    const { NetworkSettings: settings } = await container.docker.inspect();
    const { IPAddress: address = '', MacAddress: mac = '' } = settings.Networks['bridge'] ?? {};
    return { address, mac };
  }

  const rules = (): Promise<string> => machine.inPool('nft', 'list', 'table', 'inet', machine.paths.nftTable);

  async function untilClosed(address: string): Promise<void> {
    const pattern = new RegExp(`[ ,]${address.replaceAll('.', '\\.')}[ ,]`);
    await eventually(async () => assert.match(await rules(), pattern), { timeoutMs: 20_000, what: `${address} in the rules` });
  }

  const knock = (address: string): string => `echo knock > /dev/udp/${address}/${knockPort}`;

  /** Every way out of the instance is watched while it tries; what is seen is none of what it tried. */
  async function assertNothingGetsThrough(): Promise<void> {
    const { host, paths } = machine;
    const [inside, beside] = await Promise.all([attacker.namespace(), victim.namespace()]);
    const captures: [string, Capture, () => Promise<unknown>][] = [
      [
        'the host',
        await startCapture(host.path, paths.hostInterface, `src ${links.attacker.address}`),
        () => tryHard(inside, knock(internetAddress)),
      ],
      ['the LAN', await startCapture(host.lan, 'eth0', 'ip or ip6 net fd00::/64'), () => host.run('bash', '-c', knock('192.168.50.2'))],
      [
        'the neighbour',
        await startCapture(beside, 'eth0', `ether src ${links.attacker.mac} or host ${links.attacker.address} or ip6`),
        () => machine.inPool('bash', '-c', knock(links.victim.address)),
      ],
    ];
    try {
      const hostAddresses = ['192.168.50.1', hostLink, publicHostAddress];
      await tryHard(inside, reachFor([...lanAddresses, ...hostAddresses, links.victim.address]));
      await tryHard(inside, reachNeighbour(links.victim, links.attacker));
      for (const [where, capture, send] of captures) assert.deepEqual(await capture.seenUntil(send), [], `seen on ${where}`);
    } finally {
      for (const [, capture] of captures) await capture.stop();
    }
  }

  async function assertReachesInternet(): Promise<void> {
    // Refused by who was asked: there and back.
    const inside = await attacker.namespace();
    const said = await tryHard(inside, `timeout 5 bash -c 'echo x > /dev/tcp/${internetAddress}/7' 2>&1`);
    assert.match(said, /Connection refused/);
    assert.match(
      await tryHard(inside, `timeout 5 busybox nslookup example.org ${gateway} 2>&1`),
      new RegExp(answer.replaceAll('.', '\\.')),
    );
  }

  it('let nothing through to the host, the LAN, link-local, the metadata address, carriers’ networks or a neighbour, IPv4 or IPv6', async () => {
    await assertNothingGetsThrough();
  });

  it('let the internet through, and questions to the name server, which instances know by the gateway’s address only', async () => {
    await assertReachesInternet();
    const { output } = await execIn(attacker, ['cat', '/etc/resolv.conf']);
    assert.match(output, new RegExp(`^nameserver ${gateway}$`, 'm'));
    assert.doesNotMatch(output, /search|192\.168/);
  });

  async function execIn({ docker }: MachineContainer, command: string[]): Promise<{ output: string }> {
    const exec = await docker.exec({ Cmd: command, AttachStdout: true, Tty: true });
    const stream = await exec.start({ Tty: true });
    let output = '';
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(stream, 'end');
    return { output: output.replaceAll('\r', '') };
  }

  it('leave nothing of the pool itself open to an instance', async () => {
    const listener = spawn('nsenter', [`--net=${machine.paths.namespace}`, 'busybox', 'nc', '-l', '-p', '8088'], { stdio: 'ignore' });
    try {
      await eventually(async () => assert.match(await machine.inPool('ss', '-Hltn'), /:8088 /), { timeoutMs: 5_000, what: 'a listener' });
      const said = await tryHard(await attacker.namespace(), `timeout 2 bash -c 'echo x > /dev/tcp/${gateway}/8088' 2>&1 || echo failed`);
      assert.match(said, /failed/);
      assert.equal(listener.exitCode, null);
    } finally {
      listener.kill('SIGKILL');
    }
  });

  it('keep an instance from taking the addresses of another', async () => {
    await tryHard(await attacker.namespace(), impersonate(links.victim, gateway));
    const neighbours = await machine.inPool('ip', 'neigh', 'show', links.victim.address);
    assert.ok(!neighbours.includes(links.attacker.mac), neighbours);
  });

  it('refuse mail, and bound how fast an instance opens connections', async () => {
    const inside = await attacker.namespace();
    const capture = await startCapture(machine.host.lan, 'eth0', 'tcp[tcpflags] & tcp-syn != 0 and tcp[tcpflags] & tcp-ack == 0');
    const send = (): Promise<unknown> => machine.host.run('bash', '-c', knock('192.168.50.2'));
    try {
      for (const port of [25, 465, 587])
        await tryHard(inside, `(timeout 1 bash -c 'echo x > /dev/tcp/${internetAddress}/${port}') 2>/dev/null`);
      assert.deepEqual(await capture.seenUntil(send), []);
      const flood = `const net=require('net');for(let i=0;i<600;i++)net.connect(1000+i,'${internetAddress}').on('error',()=>{});setTimeout(()=>process.exit(),2000)`;
      const startedMs = performance.now();
      await runCommand('nsenter', [`--net=${inside}`, process.execPath, '-e', flood]);
      const seconds = (performance.now() - startedMs) / 1000;
      const seen = (await capture.seenUntil(send)).length;
      // What is sent again counts too.
      assert.ok(seen >= 50 && seen <= 100 + 50 * (seconds + 1), `${seen} connections in ${seconds.toFixed(1)} s`);
    } finally {
      await capture.stop();
    }
  });

  it('stand after iptables -F on both sides and after dockerd was killed', async () => {
    await machine.host.run('iptables', '-F');
    await machine.inPool('iptables', '-F');
    await assertNothingGetsThrough();
    const pid = Number(await readFile(machine.paths.config('dockerd.pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    const back = async (): Promise<void> => assert.notEqual(Number(await readFile(machine.paths.config('dockerd.pid'), 'utf8')), pid);
    await eventually(back, { timeoutMs: 30_000, what: 'dockerd to be back' });
    await eventually(() => machine.docker.ping(), { timeoutMs: 30_000, what: 'dockerd to answer' });
    await assertNothingGetsThrough();
    await assertReachesInternet();
  });

  it('are back after a flush of every rule, with the ports of who runs, and after a change of a single rule', async () => {
    const before = await rules();
    await machine.host.run('nft', 'flush', 'ruleset');
    await machine.inPool('nft', 'flush', 'ruleset');
    await eventually(assertReachesInternet, { timeoutMs: 30_000, what: 'the walls and what they let through' });
    await assertNothingGetsThrough();
    await machine.inPool('nft', 'insert', 'rule', 'inet', machine.paths.nftTable, 'out', 'accept');
    const same = async (): Promise<void> => assert.equal(withoutElements(await rules()), withoutElements(before));
    await eventually(same, { timeoutMs: 30_000, what: 'the rules as they were' });
  });

  it('cut every instance off when they cannot be put up, and connect them again when they can', async () => {
    await writeFile(join(fake, 'broken'), '');
    // On both sides: the guard of a start may see an nft that works, where the folder of the other one is closed to the engine.
    await machine.host.run('nft', 'flush', 'ruleset');
    await machine.inPool('nft', 'flush', 'ruleset');
    const down = async (): Promise<void> => assert.notEqual(await machine.engine.ask('walls'), 'standing');
    await eventually(down, { timeoutMs: 30_000, what: 'the walls to be known as down' });
    assert.match(await machine.host.run('ip', '-brief', 'link', 'show', machine.paths.hostInterface), / DOWN /);
    await assert.rejects(machine.run(), /walls do not stand/);
    await rm(join(fake, 'broken'));
    const up = async (): Promise<void> => assert.equal(await machine.engine.ask('walls'), 'standing');
    await eventually(up, { timeoutMs: 30_000, what: 'the walls to stand' });
    await assertReachesInternet();
    await assertNothingGetsThrough();
  });
});

/** What the kernel remembers of packets is no rule. */
function withoutElements(text: string): string {
  return text.replace(/\n\s*elements = \{[^}]*\}/g, '');
}
