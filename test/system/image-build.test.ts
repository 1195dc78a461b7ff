/** A definition from images/ becomes a root file system, an image and a container. Takes minutes the first time; the tar is kept for this user. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { importImage } from '../../cli/images/engine-images.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { startPotluck } from '../support/processes.ts';

const definition = join(import.meta.dirname, '../../images/debian-12.yaml');
const buildMs = 15 * 60_000;

describe('potluck image build', function () {
  this.timeout(buildMs + 60_000);
  let dockerd: TestDockerd;
  before(async () => {
    dockerd = await startTestDockerd();
  });
  after(() => dockerd.stop());

  async function built(): Promise<string> {
    const digest = createHash('sha256')
      .update(await readFile(definition))
      .digest('hex')
      .slice(0, 12);
    const directory = join(homedir(), '.cache/potluck');
    const file = join(directory, `debian-12-${digest}.tar`);
    if ((await stat(file).catch(() => undefined)) !== undefined) return file;
    await mkdir(directory, { recursive: true });
    const log = join(directory, 'image-build.log');
    const build = await startPotluck('image-build', ['image', 'build', definition, '--output', `${file}.part`], log);
    await eventually(() => (build.running ? Promise.reject(new Error('it still builds')) : Promise.resolve()), {
      timeoutMs: buildMs,
      what: 'the build',
      intervalMs: 500,
    });
    assert.equal(await build.stop(), 0, await readFile(log, 'utf8'));
    await rename(`${file}.part`, file);
    return file;
  }

  it('makes a Debian with what the definition names, ready to be imported', async () => {
    const file = await built();
    const listed = await runCommand('tar', ['--list', '--file', file]);
    assert.match(listed, /^\.\/etc\/debian_version$/m);
    assert.doesNotMatch(listed, /^\.\/var\/cache\/apt\/archives\/.*\.deb$/m);
    await importImage(dockerd.socketPath, createReadStream(file), 'debian:12', { signal: AbortSignal.timeout(120_000) });
    const docker = new Docker({ socketPath: dockerd.socketPath });
    const command = 'cat /etc/debian_version; for each in git sudo tmux rsync curl ssh python3 nano; do command -v $each; done';
    const container = await docker.createContainer({ Image: 'debian:12', Cmd: ['sh', '-c', command], Tty: true });
    await container.start();
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    const output = (await container.logs({ stdout: true, stderr: true })).toString();
    assert.equal(StatusCode, 0, output);
    assert.match(output, /^12\./);
    await container.remove();
  });
});
