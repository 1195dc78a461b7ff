import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../runtime/logger.ts';
import { eventually } from '../../test/support/eventually.ts';
import { PolicyKeeper } from './policy-keeper.ts';

const head = 'apiVersion: potluck.dev/v1alpha1\nkind: OwnerPolicy\n';
const cpu = (amount: string): string => `${head}total: { cpu: "${amount}" }\n`;

describe('PolicyKeeper', () => {
  let directory: string;
  let path: string;
  let keeper: PolicyKeeper | undefined;
  let changes: number;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'potluck-policy-'));
    path = join(directory, 'owner-policy.yaml');
  });
  afterEach(async () => {
    await keeper?.stop();
    keeper = undefined;
    await rm(directory, { recursive: true, force: true });
  });

  async function start(zone = 'UTC'): Promise<PolicyKeeper> {
    changes = 0;
    keeper = new PolicyKeeper({
      path,
      lastGoodPath: join(directory, 'last-good.yaml'),
      logger: silentLogger,
      timeZone: () => Promise.resolve(zone),
    });
    keeper.onChange(() => (changes += 1));
    await keeper.start();
    return keeper;
  }

  const until = (claim: () => void): Promise<void> =>
    eventually(() => claim(), { timeoutMs: 5_000, what: 'the policy to count', intervalMs: 20 });
  const total = (): string | undefined => keeper?.current().policy.total.cpu;
  const broken = (): string => {
    const { file } = keeper!.current();
    assert.equal(file.kind, 'broken');
    return 'message' in file ? file.message : '';
  };

  it('bounds nothing where there is no file, and takes one that comes', async () => {
    const started = await start();
    assert.deepEqual(started.current().file, { kind: 'absent' });
    assert.equal(started.current().status, undefined);
    await writeFile(path, cpu('2'));
    await until(() => assert.equal(total(), '2'));
    assert.deepEqual(started.current().status, { open: true, total: { cpu: '2' } });
  });

  it('takes a file whose directory comes later', async () => {
    path = join(directory, 'later/owner-policy.yaml');
    await start();
    await mkdir(join(directory, 'later'));
    await writeFile(path, cpu('3'));
    await until(() => assert.equal(total(), '3'));
  });

  it('follows what editors do: rewriting, renaming a new file over it, removing and making it anew', async () => {
    await writeFile(path, cpu('1'));
    await start();
    assert.equal(total(), '1');
    await writeFile(path, cpu('2'));
    await until(() => assert.equal(total(), '2'));
    for (const amount of ['3', '4', '5']) {
      await writeFile(`${path}.swp`, cpu(amount));
      await rename(`${path}.swp`, path);
      await until(() => assert.equal(total(), amount));
    }
    const seen = changes;
    await unlink(path);
    await writeFile(path, cpu('6'));
    await until(() => assert.equal(total(), '6'));
    assert.equal(changes, seen + 1, 'the moment without a file is not taken for its removal');
  });

  it('follows links that are turned elsewhere', async () => {
    await writeFile(join(directory, 'one.yaml'), cpu('1'));
    await writeFile(join(directory, 'two.yaml'), cpu('2'));
    await symlink('one.yaml', path);
    await start();
    assert.equal(total(), '1');
    await symlink('two.yaml', `${path}.new`);
    await rename(`${path}.new`, path);
    await until(() => assert.equal(total(), '2'));
    await writeFile(join(directory, 'two.yaml'), cpu('4'));
    await until(() => assert.equal(total(), '4'));
  });

  it('bounds nothing any more when the file was removed', async () => {
    await writeFile(path, cpu('1'));
    await start();
    await unlink(path);
    await until(() => assert.deepEqual(keeper?.current().file, { kind: 'absent' }));
    assert.equal(total(), undefined);
  });

  it('keeps the last good one while the file is broken, says where it is, and keeps it over a restart', async () => {
    await writeFile(path, cpu('1'));
    await start();
    await writeFile(path, `${head}total:\n  cpus: 9\n`);
    await until(() => assert.match(broken(), /owner-policy\.yaml line 4, total\.cpus: cpus is not a field of total/));
    assert.equal(total(), '1');
    await keeper?.stop();
    await start();
    assert.match(broken(), /line 4/);
    assert.equal(total(), '1');
    await writeFile(path, cpu('2'));
    await until(() => assert.equal(total(), '2'));
    assert.equal(await readFile(join(directory, 'last-good.yaml'), 'utf8'), cpu('2'));
  });

  it('lets nothing run when no file was ever good', async () => {
    await writeFile(path, 'nonsense');
    const started = await start();
    assert.deepEqual(started.current().status, { open: false, reason: 'Unreadable' });
  });

  it('does not believe a file that others than root can have written', async () => {
    await writeFile(path, cpu('1'));
    await start();
    await writeFile(path, cpu('8'));
    await chmod(path, 0o666);
    await until(() => assert.match(broken(), /writable by root only: chmod go-w/));
    await chmod(path, 0o644);
    await chown(path, 12_345, 0);
    await until(() => assert.match(broken(), /must belong to root, not to user 12345/));
    await chown(path, 0, 0);
    await chmod(directory, 0o777);
    await until(() => assert.match(broken(), /directory .* must be writable by root only/));
    await chmod(directory, 0o755);
    await until(() => assert.deepEqual(keeper?.current().file, { kind: 'valid' }));
    assert.equal(total(), '8');
  });

  it('opens and closes by the hours without being told', async () => {
    const wall = new Date(Date.now() + 1_500);
    // Opens with the next full minute at the latest; a window of a minute ago is over.
    const minute = (offset: number): string => new Date(wall.getTime() + offset * 60_000).toISOString().slice(11, 16);
    const days = '[Mon, Tue, Wed, Thu, Fri, Sat, Sun]';
    await writeFile(path, `${head}hours: [{ days: ${days}, from: "${minute(-2)}", to: "${minute(2)}" }]\n`);
    const started = await start();
    assert.equal(started.current().status?.open, true);
    assert.ok(Date.parse(started.current().status?.nextChange ?? '') > Date.now());
    await writeFile(path, `${head}hours: [{ days: ${days}, from: "${minute(60)}", to: "${minute(120)}" }]\n`);
    await until(() => assert.equal(started.current().status?.open, false));
    assert.equal(started.current().status?.reason, 'OutsideHours');
  });
});
