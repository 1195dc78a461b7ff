/**
 * Everything that a program in a container started, so that it can be ended together with the session that it was started for: Docker ends nothing
 * itself. A control group holds them. What was started before the group stood is found by the session's variable in its environment, which it inherited.
 */
import { readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { killQuietly } from '../../runtime/survivor.ts';
import type { SessionCgroups } from './session-cgroups.ts';

/** In the environment of whatever a session starts. */
export const sessionVariable = 'POTLUCK_SESSION';

export interface SessionRoot {
  /** Of the program, on this machine. */
  pid: number;
  containerId: string;
  sessionId: string;
}

/** Rounds until nothing new is found: each catches what was started during the one before. */
const mostRounds = 5;
const releaseMs = 10;

export class SessionTree {
  readonly #cgroups: SessionCgroups;
  readonly #root: SessionRoot;
  readonly #group: string;

  private constructor(cgroups: SessionCgroups, root: SessionRoot, group: string) {
    this.#cgroups = cgroups;
    this.#root = root;
    this.#group = group;
  }

  /** Undefined when the program ended before. Throws where programs of the container cannot be held. */
  static async enclose(cgroups: SessionCgroups, root: SessionRoot): Promise<SessionTree | undefined> {
    let group: string;
    try {
      group = await cgroups.enclose(root.pid, root.containerId, root.sessionId);
    } catch (error) {
      if (await isRunning(root.pid)) throw error;
      return undefined;
    }
    const tree = new SessionTree(cgroups, root, group);
    for (let round = 0; round < mostRounds; round += 1) {
      const strays = await tree.#strays();
      if (strays.length === 0) break;
      const { containerId, sessionId } = root;
      for (const pid of strays) await cgroups.enclose(pid, containerId, sessionId).catch(() => undefined);
    }
    return tree;
  }

  /** Ends all of it. Resolves when nothing is left. */
  async kill(): Promise<void> {
    await this.#cgroups.end(this.#group);
    for (const pid of await this.#strays()) killQuietly(pid, 'SIGKILL');
  }

  /** The program ended by itself: what it left running was meant to go on, and is the container's from now on. */
  async release(): Promise<void> {
    for (let round = 0; round < mostRounds; round += 1) {
      for (const pid of await pidsOf(this.#group)) {
        await writeFile(join(dirname(this.#group), 'cgroup.procs'), String(pid), { flag: 'r+' }).catch(() => undefined);
      }
      try {
        await rmdir(this.#group);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
        // Something in it just ends.
        await delay(releaseMs * 2 ** round);
      }
    }
  }

  /** Of this session, in the container's own group. */
  async #strays(): Promise<number[]> {
    const mark = `\0${sessionVariable}=${this.#root.sessionId}\0`;
    const strays: number[] = [];
    for (const pid of await pidsOf(dirname(this.#group))) {
      if (`\0${await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')}\0`.includes(mark)) strays.push(pid);
    }
    return strays;
  }
}

async function pidsOf(group: string): Promise<number[]> {
  const text = await readFile(join(group, 'cgroup.procs'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return status !== '' && !/\) [ZX] /.test(status);
}
