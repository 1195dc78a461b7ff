/** Asks the pool which instances there are, and writes what OpenSSH needs to know of them. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../../api/errors.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { gateways, instances } from '../../api/resource-type.ts';
import { ApiError } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { currentEntries, loadKubeconfig } from '../../client/kubeconfig.ts';
import type { StringFlag } from '../command-line/command.ts';
import type { ClientContext } from '../with-client.ts';
import { quoted, sshSettings } from './ssh-settings.ts';

export const settingsFlag = {
  type: 'string',
  value: 'FILE',
  description: 'the file of settings; known hosts go beside it; default ~/.ssh/potluck_config',
} as const satisfies StringFlag;

export interface WrittenSettings {
  file: string;
  instances: readonly Instance[];
  /** Of who asks, if the kubeconfig says one. */
  namespace: string | undefined;
}

/** @throws {UserError} API_REFUSED where the pool has no jump host. */
export async function writeSettings({ client, kubeconfig }: ClientContext, output: string | undefined): Promise<WrittenSettings> {
  const file = output === undefined ? join(homedir(), '.ssh', 'potluck_config') : resolve(output);
  const { namespace } = currentEntries(await loadKubeconfig(kubeconfig));
  const [{ items: known }, found] = await Promise.all([client.list(gateways), listInstances(client, namespace)]);
  const knownHostsFile = join(dirname(file), 'potluck_known_hosts');
  const settings = sshSettings({ gateways: known, instances: found, namespace, knownHostsFile });
  if (settings === undefined) {
    throw new UserError('API_REFUSED', 'the pool has no jump host', 'Start one with potluck up, or potluck jump-host beside a gateway');
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await put(knownHostsFile, settings.knownHosts);
  await put(file, settings.config);
  return { file, instances: found, namespace };
}

/** All that one may see: everything, or what is in one's own namespace. */
async function listInstances(client: Client, namespace: string | undefined): Promise<readonly Instance[]> {
  try {
    return (await client.list(instances)).items;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 403 || namespace === undefined) throw error;
    return (await client.list(instances, { namespace })).items;
  }
}

/** Puts the line before everything else: behind a `Host` it would count for that host only. The rest stays byte for byte. Answers whether it was not there. */
export async function includeSettings(file: string, userConfig = join(homedir(), '.ssh', 'config')): Promise<boolean> {
  const line = `Include ${quoted(file)}`;
  const before = await readFile(userConfig, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  if (before.split('\n').some((each) => each.trim() === line)) return false;
  await mkdir(dirname(userConfig), { recursive: true, mode: 0o700 });
  // In place: it may be a link into somebody's collection of settings.
  await writeFile(userConfig, `${line}\n${before}`, { mode: 0o600 });
  return true;
}

async function put(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
