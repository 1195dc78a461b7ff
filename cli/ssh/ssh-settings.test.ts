import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Gateway } from '../../api/generated/gateway.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { sshSettings } from './ssh-settings.ts';
import { includeSettings } from './write-settings.ts';

const gateway = (ssh?: Gateway['spec']['ssh']): Gateway => ({
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Gateway',
  metadata: { name: 'gw' },
  spec: { tunnelAddresses: ['a:1'], peerAddress: 'a:1', ...(ssh === undefined ? {} : { ssh }) },
});
const instance = (namespace: string, name: string, hostname?: string): Instance => ({
  apiVersion: 'potluck.dev/v1alpha1',
  kind: 'Instance',
  metadata: { name, namespace, uid: `uid-${namespace}-${name}` },
  spec: { image: 'i', resources: { requests: { cpu: '1', memory: '1Gi' } } },
  status: { ssh: { hostKey: `ssh-ed25519 ${name}` }, ...(hostname === undefined ? {} : { hostname }) },
});
const input = {
  gateways: [gateway({ host: 'gw.example', port: 22000, hostKey: 'ssh-ed25519 JJ' })],
  knownHostsFile: '/home/t t/kh',
  namespace: 'toto',
};

describe('sshSettings()', () => {
  it('names each instance, the bare names of one’s own among them, and checks host keys by uid', () => {
    const settings = sshSettings({ ...input, instances: [instance('toto', 'box', 'toto-desktop-0'), instance('titi', 'box')] });
    assert.match(settings?.config ?? '', /^Host box\.toto\.potluck toto-desktop-0 box$/m);
    assert.match(settings?.config ?? '', /^Host box\.titi\.potluck$/m);
    assert.match(settings?.config ?? '', /^ {2}UserKnownHostsFile "\/home\/t t\/kh"$/m);
    const known = ['potluck-jump ssh-ed25519 JJ', 'uid-toto-box ssh-ed25519 box', 'uid-titi-box ssh-ed25519 box'];
    assert.equal(settings?.knownHosts, known.map((line) => `${line}\n`).join(''));
  });

  it('has nothing to say where no gateway has a jump host', () => {
    assert.equal(sshSettings({ ...input, gateways: [gateway()], instances: [] }), undefined);
  });

  it('gives no name twice', () => {
    const { config = '' } =
      sshSettings({ ...input, instances: [instance('toto', 'potluck-jump'), instance('toto', 'a', 'b'), instance('toto', 'b')] }) ?? {};
    const names = [...config.matchAll(/^Host (.*)$/gm)].flatMap(([, all = '']) => all.split(' '));
    assert.equal(new Set(names).size, names.length, names.join(' '));
  });
});

describe('includeSettings()', () => {
  it('puts one line before what is there, once, and changes nothing else', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'potluck-include-'));
    try {
      const file = join(directory, 'config');
      const own = 'Host x\n  User y\r\n\n# end without a line feed';
      await writeFile(file, own);
      assert.equal(await includeSettings('/a b/c', file), true);
      assert.equal(await includeSettings('/a b/c', file), false);
      assert.equal(await readFile(file, 'utf8'), `Include "/a b/c"\n${own}`);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
