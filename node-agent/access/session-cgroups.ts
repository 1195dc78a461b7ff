/**
 * A control group of its own for each session, below its container's: whatever the session starts is in it, also what left its terminal,
 * its parents and its environment behind, and can be ended together. Both versions of control groups; nothing is limited by it.
 */
import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface SessionCgroupsOptions {
  /** Where `proc` and `sys` are; `/` but in tests. */
  root?: string;
  kill?: (pid: number) => void;
}

const prefix = 'potluck-session-';
const endTimeoutMs = 5_000;
const freezeTimeoutMs = 300;
const pollMs = 10;

export class SessionCgroups {
  readonly #root: string;
  readonly #kill: (pid: number) => void;

  constructor({ root = '/', kill = killQuietly }: SessionCgroupsOptions = {}) {
    this.#root = root;
    this.#kill = kill;
  }

  /**
   * Moves a process that has not started another yet into a group below the one where it is. Answers the group's path.
   * @throws {Error} when the process is not in the group of that container, whose id or name its path must have, or there are no groups.
   */
  async enclose(pid: number, containerId: string, sessionId: string): Promise<string> {
    const parent = await this.#groupOf(pid);
    if (!parent.includes(containerId)) throw new Error(`process ${pid} is not in the control group of container ${containerId}`);
    const path = join(parent, `${prefix}${sessionId}`);
    await mkdir(path, { recursive: true });
    try {
      await writeFile(join(path, 'cgroup.procs'), String(pid));
    } catch (error) {
      // The process ended meanwhile: nobody would take the group away.
      await rmdir(path).catch(() => undefined);
      throw error;
    }
    return path;
  }

  /** Resolves when nothing is in it any more and it is gone; also when it was gone before. */
  async end(path: string): Promise<void> {
    if (!isOurs(path)) throw new Error(`${path} is no group of a session`);
    const deadline = performance.now() + endTimeoutMs;
    while ((await this.#pids(path)).length > 0) {
      await this.#killAll(path);
      await delay(pollMs);
      if (performance.now() > deadline) throw new Error(`processes of a session do not end: ${(await this.#pids(path)).join(', ')}`);
    }
    await rmdir(path).catch(() => undefined);
  }

  /** Takes it away if nothing is in it; answers whether it is gone. */
  async release(path: string): Promise<boolean> {
    if ((await this.#pids(path)).length > 0) return false;
    await rmdir(path).catch(() => undefined);
    return true;
  }

  /** What is frozen cannot start another while the list is read. A group of version 2 is killed by the kernel at once. */
  async #killAll(path: string): Promise<void> {
    if (await write(join(path, 'cgroup.kill'), '1')) return;
    const freeze = (await exists(join(path, 'freezer.state')))
      ? {
          file: join(path, 'freezer.state'),
          on: 'FROZEN',
          off: 'THAWED',
          reached: async () => (await this.#read(join(path, 'freezer.state'))).startsWith('FROZEN'),
        }
      : {
          file: join(path, 'cgroup.freeze'),
          on: '1',
          off: '0',
          reached: async () => /^frozen 1$/m.test(await this.#read(join(path, 'cgroup.events'))),
        };
    const isFreezing = await write(freeze.file, freeze.on);
    const deadline = performance.now() + freezeTimeoutMs;
    while (isFreezing && !(await freeze.reached()) && performance.now() < deadline) await delay(1);
    for (const pid of await this.#pids(path)) this.#kill(pid);
    if (isFreezing) await write(freeze.file, freeze.off);
  }

  async #pids(path: string): Promise<number[]> {
    return (await this.#read(join(path, 'cgroup.procs')))
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  }

  async #read(path: string): Promise<string> {
    return readFile(path, 'utf8').catch(() => '');
  }

  /** In the hierarchy that can freeze; of version 1, where it cannot, the one that counts processes. */
  async #groupOf(pid: number): Promise<string> {
    const lines = (await this.#read(join(this.#root, 'proc', String(pid), 'cgroup'))).split('\n').filter((line) => line !== '');
    if (lines.length === 0) throw new Error(`there is no process ${pid}`);
    const mounts = parseCgroupMounts(await this.#read(join(this.#root, 'proc/self/mountinfo')));
    for (const controller of ['freezer', 'pids']) {
      const line = lines.find((each) => (each.split(':')[1] ?? '').split(',').includes(controller));
      const mount = mounts.find(({ controllers }) => controllers.includes(controller));
      if (line !== undefined && mount !== undefined) return join(this.#root, mount.target, line.split(':').slice(2).join(':'));
    }
    const unified = lines.find((line) => line.startsWith('0::'));
    const mount = mounts.find(({ version }) => version === 2);
    if (unified === undefined || mount === undefined) throw new Error('this machine has no control groups that sessions can be put in');
    return join(this.#root, mount.target, unified.slice(3));
  }
}

interface CgroupMount {
  target: string;
  version: 1 | 2;
  controllers: string[];
}

/** As proc(5) has it: fields, a dash, the file system's type, its source, its options. */
function parseCgroupMounts(text: string): CgroupMount[] {
  return text.split('\n').flatMap((line): CgroupMount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const target = before.split(' ')[4] ?? '';
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') return [{ target, version: 2, controllers: [] }];
    return type === 'cgroup' ? [{ target, version: 1, controllers: options.split(',') }] : [];
  });
}

function isOurs(path: string): boolean {
  return basename(path).startsWith(prefix);
}

/** Answers whether it could. */
async function write(file: string, text: string): Promise<boolean> {
  // Without the flag to make it: what is no file of the kernel's is not there.
  return writeFile(file, text, { flag: 'r+' }).then(
    () => true,
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
