import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCatalogue } from '../../api/errors.ts';
import { checkSystem } from './check-system.mjs';
import { bootstrapErrorCodes, type BootstrapError } from './errors.mjs';
import { npmPackagesAreInstalled } from './npm-packages.mjs';
import { complaintOf, runCommand } from './run-command.mjs';
import { denyServiceStarts } from './service-policy.mjs';
import { missingNeeds, needs } from './system-packages.mjs';

const debian = {
  platform: 'linux',
  uid: 0,
  nodeVersion: '20.11.0',
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
};
const etcd = { program: 'etcd', package: 'etcd-server' };

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as BootstrapError).toString();
  }
  return '';
}

describe('the first step', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'potluck-bootstrap-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('uses the codes of the catalogue', () => {
    for (const [name, value] of Object.entries(bootstrapErrorCodes))
      assert.equal(errorCatalogue[name as keyof typeof errorCatalogue], value);
  });

  it('accepts root on Debian, Ubuntu and what is like them, also while programs are missing', () => {
    for (const osRelease of [debian.osRelease, 'ID=ubuntu\nID_LIKE=debian', 'ID=linuxmint\nID_LIKE="ubuntu debian"']) {
      checkSystem({ ...debian, osRelease }, 'start', [etcd]);
    }
  });

  it('names what is missing where it cannot install it, and goes on where nothing is missing', () => {
    const fedora = { ...debian, osRelease: 'PRETTY_NAME="Fedora Linux 42"\nID=fedora' };
    checkSystem(fedora, 'start', []);
    assert.match(
      code(() => checkSystem(fedora, 'start', [etcd])),
      /^PLK006 .*Fedora Linux 42.*missing: etcd\. Install/,
    );
  });

  it('tells someone who is not root which command to run', () => {
    assert.match(
      code(() => checkSystem({ ...debian, uid: 1000 }, 'test', [etcd])),
      /^PLK005 .*sudo env "PATH=\$PATH" npm test\..*etcd-server/,
    );
  });

  it('lets someone who is not root join with an engine of their own, and asks for root where packages are missing', () => {
    checkSystem({ ...debian, uid: 1000 }, 'join', []);
    assert.match(
      code(() => checkSystem({ ...debian, uid: 1000 }, 'join', [etcd])),
      /^PLK005 .*sudo env "PATH=\$PATH" bin\/potluck join with the same arguments\./,
    );
  });

  it('refuses other systems and an old Node', () => {
    assert.match(
      code(() => checkSystem({ ...debian, platform: 'darwin' }, 'start', [])),
      /^PLK006 /,
    );
    assert.match(
      code(() => checkSystem({ ...debian, nodeVersion: '18.19.0' }, 'start', [])),
      /^PLK007 .*18\.19\.0/,
    );
  });

  it('looks for programs, not packages, and for the tests needs all that the start needs', () => {
    const dockerOnly = (program: string) => (program === 'dockerd' ? '/usr/bin/dockerd' : undefined);
    assert.equal(
      missingNeeds('start', dockerOnly).some((need) => need.package === 'docker.io'),
      false,
    );
    assert.equal(missingNeeds('test', () => undefined).length, needs.length);
    const needed = (script: 'join' | 'start' | 'test') => missingNeeds(script, () => undefined).map((need) => need.program);
    assert.deepEqual([needed('join').includes('dockerd'), needed('join').includes('etcd')], [true, false]);
    assert.deepEqual([needed('start').includes('etcd'), needed('start').includes('/bin/busybox')], [true, false]);
    assert.ok(needed('test').includes('/bin/busybox'));
  });

  describe('npmPackagesAreInstalled()', () => {
    const wanted = {
      '': {},
      'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
      'node_modules/other': { version: '1.0.0', integrity: 'sha512-o', optional: true },
    };
    function write(file: string, packages: object): void {
      mkdirSync(join(directory, 'node_modules'), { recursive: true });
      writeFileSync(join(directory, file), JSON.stringify({ packages }));
    }

    it('holds when every package that is meant for this machine is there', () => {
      write('package-lock.json', wanted);
      write('node_modules/.package-lock.json', { 'node_modules/a': wanted['node_modules/a'] });
      assert.equal(npmPackagesAreInstalled(directory), true);
    });

    it('does not hold with nothing, another version, or one too many', () => {
      write('package-lock.json', wanted);
      assert.equal(npmPackagesAreInstalled(directory), false);
      write('node_modules/.package-lock.json', { 'node_modules/a': { ...wanted['node_modules/a'], version: '1.0.1' } });
      assert.equal(npmPackagesAreInstalled(directory), false);
      write('node_modules/.package-lock.json', { 'node_modules/a': wanted['node_modules/a'], 'node_modules/b': {} });
      assert.equal(npmPackagesAreInstalled(directory), false);
    });
  });

  describe('denyServiceStarts()', () => {
    const run = async (file: string) => (await runCommand(file, ['docker', 'start'], { timeoutMs: 5000 })).code;

    it('denies until restored, and leaves nothing behind', async () => {
      const file = join(directory, 'policy-rc.d');
      const { restore } = denyServiceStarts(file);
      assert.equal(await run(file), 101);
      restore();
      assert.deepEqual(readdirSync(directory), []);
    });

    it('leaves a policy alone that denies already, and brings back one that does not', async () => {
      const file = join(directory, 'policy-rc.d');
      for (const exitCode of [101, 0]) {
        const own = `#!/bin/sh\nexit ${exitCode}\n`;
        writeFileSync(file, own);
        chmodSync(file, 0o755);
        const { restore } = denyServiceStarts(file);
        assert.equal(await run(file), 101);
        restore();
        assert.equal(readFileSync(file, 'utf8'), own);
      }
      assert.deepEqual(readdirSync(directory), ['policy-rc.d']);
    });

    it('cleans up after a run that was killed', async () => {
      const file = join(directory, 'policy-rc.d');
      writeFileSync(file, '#!/bin/sh\nexit 0\n');
      chmodSync(file, 0o755);
      denyServiceStarts(file);
      denyServiceStarts(file).restore();
      assert.equal(await run(file), 0);
    });
  });

  describe('runCommand()', () => {
    it('ends what takes too long, with all that it started', async () => {
      const result = await runCommand('sh', ['-c', 'echo begun; sleep 60 & sleep 60'], { timeoutMs: 300 });
      assert.equal(result.code, 124);
      assert.match(complaintOf(result), /^it took too long; begun$/);
    });

    it('answers 127 for a program that is not there', async () => {
      assert.equal((await runCommand(join(directory, 'none'), [], { timeoutMs: 1000 })).code, 127);
    });
  });
});
