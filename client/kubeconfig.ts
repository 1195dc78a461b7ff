/**
 * Reads kubeconfig files with client-node's own reader of their entries (`config_types.js`). Its `KubeConfig` class is loaded only for
 * what needs it (YAML, exec plug-ins, auth providers, proxies): it brings every generated API with it, 80 MB of resident memory.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js';
import type { Cluster, Context, User } from '@kubernetes/client-node/dist/config_types.js';
import { UserError } from '../api/errors.ts';

/** The parts of client-node's `KubeConfig`; an instance of it will do. */
export interface LoadedKubeconfig {
  clusters: Cluster[];
  users: User[];
  contexts: Context[];
  currentContext: string;
}

/** Throws UserError with the file's name when it cannot be read or is no kubeconfig. File names in it become absolute. */
export async function loadKubeconfig(file: string): Promise<LoadedKubeconfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const remedy = 'Say where the kubeconfig is, or start the pool that writes it.';
    throw new UserError('API_UNREACHABLE', `kubeconfig ${file} cannot be read: ${(error as Error).message}`, remedy, { cause: error });
  }
  try {
    return absolutePaths(await parse(text), dirname(resolve(file)));
  } catch (error) {
    const remedy = 'Write it anew, or restore it.';
    throw new UserError('STATE_DAMAGED', `kubeconfig ${file} is damaged: ${(error as Error).message}`, remedy, { cause: error });
  }
}

/** JSON is YAML too, and our own programs write it: client-node's YAML reader comes with all of client-node, so only others' files need it. */
async function parse(text: string): Promise<LoadedKubeconfig> {
  if (text.trimStart().startsWith('{')) return fromDocument(JSON.parse(text));
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  config.loadFromString(text);
  const { clusters, users, contexts, currentContext } = config;
  return { clusters, users, contexts, currentContext };
}

function fromDocument(document: unknown): LoadedKubeconfig {
  if (typeof document !== 'object' || document === null) throw new TypeError('it is no object');
  const { clusters, users, contexts, 'current-context': currentContext } = document as Record<string, unknown>;
  if (typeof currentContext !== 'string') throw new TypeError('current-context is missing');
  return { clusters: newClusters(clusters), users: newUsers(users), contexts: newContexts(contexts), currentContext };
}

function absolutePaths(config: LoadedKubeconfig, folder: string): LoadedKubeconfig {
  for (const cluster of config.clusters) {
    if (cluster.caFile !== undefined) cluster.caFile = resolve(folder, cluster.caFile);
  }
  for (const user of config.users) {
    if (user.certFile !== undefined) user.certFile = resolve(folder, user.certFile);
    if (user.keyFile !== undefined) user.keyFile = resolve(folder, user.keyFile);
  }
  return config;
}

/** The cluster, user and namespace that the current context names; throws when one is missing. */
export function currentEntries(config: LoadedKubeconfig): { cluster: Cluster; user: User | undefined; namespace: string | undefined } {
  const context = config.contexts.find(({ name }) => name === config.currentContext);
  const cluster = config.clusters.find(({ name }) => name === context?.cluster);
  if (context === undefined || cluster === undefined) {
    const remedy = 'Choose a context that exists with kubectl config use-context.';
    throw new UserError('STATE_DAMAGED', `the kubeconfig's context "${config.currentContext}" names no cluster`, remedy);
  }
  return { cluster, user: config.users.find(({ name }) => name === context.user), namespace: context.namespace };
}
