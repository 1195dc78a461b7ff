/** The machine's own OpenSSH server on a port of its own: what ours is compared with. Needs Debian's `openssh-server`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSshKeyPair } from '../../runtime/ssh-key-pair.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

export interface PlainSshd {
  port: number;
  /** Options of OpenSSH's clients; the host is 127.0.0.1. */
  options(keyFile: string): string[];
  stop(): Promise<void>;
}

export async function startPlainSshd(publicKey: string): Promise<PlainSshd> {
  const directory = await mkdtemp(join(tmpdir(), 'potluck-sshd-'));
  const port = await freePort();
  const madeRun = await mkdir('/run/sshd', { mode: 0o755 }).then(
    () => true,
    () => false,
  );
  await writeFile(join(directory, 'host_key'), makeSshKeyPair('plain').privatePem, { mode: 0o600 });
  await writeFile(join(directory, 'authorized_keys'), `${publicKey}\n`);
  const config = `Port ${port}
ListenAddress 127.0.0.1
HostKey ${directory}/host_key
AuthorizedKeysFile ${directory}/authorized_keys
StrictModes no
UsePAM no
PidFile none
PrintMotd no
PrintLastLog no
PermitRootLogin yes
MaxStartups 100
Subsystem sftp internal-sftp
`;
  await writeFile(join(directory, 'config'), config);
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(directory, 'config')], { stdio: 'ignore' });
  await eventually(
    async () => {
      if (!(await accepts(port))) throw new Error('not yet');
    },
    { timeoutMs: 10_000, what: 'the plain sshd' },
  );
  return {
    port,
    options: (keyFile) => {
      const set = {
        Port: String(port),
        IdentitiesOnly: 'yes',
        IdentityFile: keyFile,
        StrictHostKeyChecking: 'no',
        UserKnownHostsFile: '/dev/null',
        LogLevel: 'ERROR',
      };
      return ['-F', 'none', ...Object.entries(set).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
    },
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
      if (madeRun) await rmdir('/run/sshd').catch(() => undefined);
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
