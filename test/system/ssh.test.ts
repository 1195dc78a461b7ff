/** SSH through everything: OpenSSH's client, jump host, gateway, tunnel, agent, sshd in the instance, in a pool as `potluck up` makes it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instance } from '../../api/generated/instance.ts';
import type { Member } from '../../api/generated/member.ts';
import { events, instances, members } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { updateObject } from '../../runtime/status-writer.ts';
import { debianRootfs } from '../support/debian-rootfs.ts';
import { eventually } from '../support/eventually.ts';
import { runClient } from '../support/ssh-entry.ts';
import type { Ended } from '../support/ssh-entry.ts';
import { testToolbox } from '../support/toolbox.ts';
import { Up } from '../support/up.ts';

const potluck = join(import.meta.dirname, '../../bin/potluck');
const cutMs = 2_000;
const busybox = '/.potluck/current/bin/busybox';

describe('SSH to an instance of a pool', function () {
  this.timeout(300_000);
  let directory: string;
  let home: string;
  let up: Up;
  let client: KubeClient;

  before(async () => {
    await testToolbox();
    directory = await mkdtemp(join(tmpdir(), 'potluck-ssh-system-'));
    home = join(directory, 'home');
    up = new Up(['--home', home, '--listen', '127.0.0.1:0', '--provider', 'desktop', '--no-example', '--rootfs', await debianRootfs()]);
    await up.untilReady(150_000);
    client = createClient({ kubeconfig: join(home, 'kubeconfig'), userAgent: 'test' });
    await client.create(members, member('toto', [await makeKey('toto'), await makeKey('toto-old')]));
    await client.create(members, member('titi', [await makeKey('titi')]));
    const create = async (): Promise<unknown> => client.create(instances, box());
    await eventually(create, { timeoutMs: 30_000, what: "the member's namespace" });
    await eventually(
      async () => {
        const { status } = await client.get(instances, { namespace: 'toto', name: 'box' });
        assert.equal(status?.phase, 'Running');
        assert.equal(status.ssh?.authorizedKeys?.length, 3);
      },
      { timeoutMs: 90_000, what: 'the instance to run' },
    );
    for (const who of ['toto', 'toto-old', 'titi']) await writeSettings(who);
  });
  after(async () => {
    client.close();
    await up.end('SIGTERM');
    await runClient(potluck, ['down', '--purge', '--home', home]);
    await rm(directory, { recursive: true, force: true });
  });

  async function makeKey(name: string): Promise<string> {
    await mkdir(join(directory, name, '.ssh'), { recursive: true });
    const file = join(directory, name, '.ssh/id_ed25519');
    await runClient('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
    await writeFile(join(directory, name, '.ssh/config'), `IdentityFile ${file}\nIdentitiesOnly yes\n`);
    return (await readFile(`${file}.pub`, 'utf8')).trim();
  }

  /** As the user would: by the command, with a home of their own. */
  const asUser = (who: string, ...args: string[]): Promise<Ended> =>
    runClient('env', [`HOME=${join(directory, who)}`, `KUBECONFIG=${join(home, 'kubeconfig')}`, potluck, ...args]);
  async function writeSettings(who: string): Promise<void> {
    const { code, stdout, stderr } = await asUser(who, 'ssh-config', '--include');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /1 instance\n.* includes it now/s);
  }
  const options = (who: string): string[] => ['-F', join(directory, who, '.ssh/config')];
  const ssh = (who: string, command: string): Promise<Ended> => runClient('ssh', [...options(who), 'box.toto.potluck', command]);

  /** Resolves when it said something. */
  async function live(who: string, command: string): Promise<ChildProcess> {
    const child = spawn('ssh', [...options(who), 'box.toto.potluck', command], { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    return child;
  }
  const processes = async (): Promise<string> => (await ssh('toto', `${busybox} ps`)).stdout;

  it('is one command, which answers the code of what it ran', async () => {
    const { code, stdout, stderr } = await asUser('toto', 'ssh', '-n', 'toto', 'box', '--', 'echo out; echo err >&2; exit 7');
    assert.deepEqual([code, stdout, stderr], [7, 'out\n', 'err\n']);
    const missing = await asUser('toto', 'ssh', '-n', 'toto', 'nothing');
    assert.deepEqual([missing.code, /there is no instance toto\/nothing/.test(missing.stderr)], [1, true], missing.stderr);
  });

  it('runs as root of the image and as nobody of the machine, and tells who came', async () => {
    assert.equal((await ssh('titi', 'id -u')).stdout, '0\n');
    await eventually(
      async () => {
        const { items } = await client.list(events, { namespace: 'toto' });
        assert.ok(items.some((event) => event.reason === 'SessionOpened' && /^titi came in by SSH as potluck/.test(event.message ?? '')));
      },
      { timeoutMs: 10_000, what: 'the event' },
    );
  });

  it('ends a live scp, a shell and its setsid child within two seconds when the member goes, and nobody else’s', async () => {
    const big = join(directory, 'big');
    await runClient('truncate', ['-s', '20G', big]);
    const kept = await live('toto', 'echo started; cat');
    const shell = await live(
      'titi',
      `env -i setsid ${busybox} sleep 98765 > /dev/null 2>&1 < /dev/null & echo started; ${busybox} sleep 98764`,
    );
    const copy = spawn('scp', [...options('titi'), big, 'box.toto.potluck:/dev/null'], { stdio: 'ignore' });
    const isCopying = async (): Promise<void> => assert.match(await processes(), /98764[^]*98765/);
    await eventually(isCopying, { timeoutMs: 20_000, what: 'the processes' });
    const startMs = performance.now();
    const ended = Promise.all([once(shell, 'exit'), once(copy, 'exit')]);
    await client.delete(members, { name: 'titi' });
    await ended;
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < cutMs, `it took ${tookMs} ms`);
    assert.doesNotMatch(await processes(), /9876[45]/);
    assert.match((await ssh('titi', 'true')).stderr, /Permission denied \(publickey\)/);
    await stillThere(kept);
  });

  it('ends what one key opened when that key goes, and not what another of the same member did', async () => {
    const kept = await live('toto', 'echo started; cat');
    const old = await live('toto-old', 'echo started; cat');
    const publicKey = (await readFile(join(directory, 'toto/.ssh/id_ed25519.pub'), 'utf8')).trim();
    const startMs = performance.now();
    const ended = once(old, 'exit');
    await updateObject(client, members, { name: 'toto' }, (draft: Member) => void (draft.spec.sshKeys = [publicKey]));
    await ended;
    assert.ok(performance.now() - startMs < cutMs, `it took ${performance.now() - startMs} ms`);
    await stillThere(kept);
  });

  it('ends sessions when the instance is stopped, and says so at once from then on', async () => {
    const open = await live('toto', 'echo started; cat');
    const startMs = performance.now();
    const ended = once(open, 'exit');
    await updateObject(
      client,
      instances,
      { namespace: 'toto', name: 'box' },
      (draft: Instance) => void (draft.spec.powerState = 'Stopped'),
    );
    await ended;
    assert.ok(performance.now() - startMs < cutMs, `it took ${performance.now() - startMs} ms`);
    await eventually(
      async () => {
        const askedMs = performance.now();
        const { code, stderr } = await ssh('toto', 'true');
        assert.equal(code, 255);
        assert.match(stderr, /toto\/box does not run: it is Stopped, since \d{4}-.*: The instance is stopped/);
        assert.ok(performance.now() - askedMs < 5_000);
      },
      { timeoutMs: 30_000, what: 'the sentence' },
    );
  });

  async function stillThere(child: ChildProcess): Promise<void> {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stdin?.end('still here\n');
    await once(child, 'exit');
    assert.equal(output, 'still here\n');
  }
});

function member(name: string, sshKeys: string[]): Member {
  return { apiVersion: 'potluck.dev/v1alpha1', kind: 'Member', metadata: { name }, spec: { permissions: ['Use'], sshKeys } };
}

function box(): Instance {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name: 'box', namespace: 'toto' },
    spec: {
      image: 'debian:12',
      command: ['sleep', '1000000'],
      resources: { requests: { cpu: '500m', memory: '128Mi' } },
      ssh: { members: ['titi'] },
    },
  };
}
