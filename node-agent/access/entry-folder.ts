/** The folder of this machine that one instance sees as its own: accounts and keys of its sshd. Written by the agent alone. */
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EntryFolders } from '../engine/engine.ts';
import { accountFiles } from './account-files.ts';
import type { ImageFacts } from './image-facts.ts';
import { sshdConfig } from './sshd-config.ts';

export interface EntryFoldersOptions {
  /** `$POTLUCK_HOME/toolbox`. */
  directory: string;
  /** What all instances see. */
  tools: string;
}

/** Of a container: whose users its own are on this machine. */
export interface IdMaps {
  uid(inside: number): number;
  gid(inside: number): number;
}

export class EntryFolderKeeper {
  readonly #options: EntryFoldersOptions;

  constructor(options: EntryFoldersOptions) {
    this.#options = options;
  }

  /** Makes the folders that a container is to see; they may be empty. */
  async prepare(instanceUid: string): Promise<EntryFolders> {
    const { directory, tools } = this.#options;
    const folders = { tools, own: this.#own(instanceUid), empty: join(directory, 'empty') };
    for (const folder of [folders.own, folders.empty]) {
      await mkdir(folder, { recursive: true, mode: 0o755 });
      await chmod(folder, 0o755);
    }
    return folders;
  }

  async writeKeys(instanceUid: string, keys: readonly string[]): Promise<void> {
    await put(join(this.#own(instanceUid), 'authorized_keys'), keys.map((key) => `${key}\n`).join(''));
  }

  async writeGreeting(instanceUid: string, greeting: string): Promise<void> {
    await put(join(this.#own(instanceUid), 'greeting'), greeting);
  }

  /** Accounts, configuration and host key, readable for whom the image runs as. */
  async writeAccounts(instanceUid: string, facts: ImageFacts, hostKey: string, ids: IdMaps): Promise<void> {
    const own = this.#own(instanceUid);
    const { passwd, group, shadow, shell } = accountFiles(facts);
    for (const [name, text] of Object.entries({ passwd, group, shadow, shell })) await put(join(own, name), text);
    const isRoot = facts.uid === 0;
    const [uid, gid] = [ids.uid(0), ids.gid(facts.gid)];
    // sshd refuses a key of its own user that others may read, and one that it cannot read: a user that is not root reads another's.
    const owner = isRoot ? { uid, gid: ids.gid(0), mode: 0o600 } : { uid: 0, gid, mode: 0o640 };
    await put(join(own, 'host_key'), hostKey, owner);
    // It may have values of secrets in it, which the instance has in its environment too.
    await put(join(own, 'sshd_config'), sshdConfig(facts), isRoot ? { ...owner, mode: 0o600 } : owner);
    await giveToRoot(join(this.#options.directory, 'empty'), uid);
  }

  /** Removes those of instances that are not here any more. */
  async keepOnly(isHere: (instanceUid: string) => boolean): Promise<void> {
    const all = await readdir(join(this.#options.directory, 'instances')).catch(() => []);
    for (const uid of all) if (!isHere(uid)) await rm(this.#own(uid), { recursive: true, force: true });
  }

  #own(instanceUid: string): string {
    if (!/^[A-Za-z0-9-]{1,64}$/.test(instanceUid)) throw new Error(`${instanceUid} is no uid`);
    return join(this.#options.directory, 'instances', instanceUid);
  }
}

/** sshd shuts itself into a folder of root's only. */
async function giveToRoot(folder: string, uid: number): Promise<void> {
  if ((await stat(folder)).uid !== uid) await chown(folder, uid, uid);
}

interface Owner {
  uid: number;
  gid: number;
  mode: number;
}

/** By one rename, so that a sshd that starts meanwhile reads the old or the new; not at all where it is so already. */
async function put(path: string, text: string, owner: Owner = { uid: 0, gid: 0, mode: 0o644 }): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  const isSame = before?.uid === owner.uid && before.gid === owner.gid && (before.mode & 0o777) === owner.mode;
  if (isSame && (await readFile(path, 'utf8')) === text) return;
  const fresh = `${path}.${createHash('sha256').update(text).digest('hex').slice(0, 12)}.${process.hrtime.bigint()}`;
  try {
    await writeFile(fresh, text, { mode: 0o600 });
    await chown(fresh, owner.uid, owner.gid);
    await chmod(fresh, owner.mode);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** As `/proc/<pid>/uid_map` has them; an id that is not in them stays as it is. */
export async function readIdMaps(pid: number): Promise<IdMaps> {
  const [uids, gids] = await Promise.all(['uid_map', 'gid_map'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')));
  return { uid: (id) => mapId(uids ?? '', id), gid: (id) => mapId(gids ?? '', id) };
}

function mapId(map: string, id: number): number {
  for (const line of map.split('\n')) {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (count > 0 && id >= inside && id < inside + count) return outside + id - inside;
  }
  return id;
}
