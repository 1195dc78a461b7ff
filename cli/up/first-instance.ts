import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { instanceUidLabel } from '../../api/names.ts';
import type { Instance } from '../../api/generated/instance.ts';
import { keyOf } from '../../api/object.ts';
import { instances } from '../../api/resource-type.ts';
import { isAlreadyExists, type Client } from '../../client/client.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { instanceRow } from '../pool-overview.ts';
import { TooLateError, untilTrue } from '../until-true.ts';

const runningTimeoutMs = 120_000;

export interface FirstInstanceOptions {
  /** A manifest of one instance. */
  file: string;
  client: Client;
  socketPath: string;
  providerUid: string;
  report: (where: string) => void;
  signal: AbortSignal;
}

/**
 * Creates the instance unless it is there, which leaves what its owner made of it, and waits until it runs. Answers why it does not, or undefined
 * when it does (or is not meant to).
 */
export async function runFirstInstance(options: FirstInstanceOptions): Promise<string | undefined> {
  const { client, file, signal } = options;
  const manifest = parse(await readFile(file, 'utf8')) as Instance;
  try {
    await client.create(instances, asApplied(manifest), { signal });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  let last: Instance = manifest;
  try {
    const check = async (): Promise<boolean> => {
      last = await client.get(instances, keyOf(manifest), { signal });
      const { phase, message } = instanceRow(last);
      options.report(message === '' ? phase : `${phase}: ${message}`);
      return last.spec.powerState === 'Stopped' || (phase === 'Running' && (await runsHere(last, options)));
    };
    await untilTrue(check, { what: 'the first instance to run', timeoutMs: runningTimeoutMs, intervalMs: 100, signal });
    return undefined;
  } catch (error) {
    if (!(error instanceof TooLateError)) throw error;
    const { phase, message } = instanceRow(last);
    return `it is ${phase}${message === '' ? '' : `: ${message}`}`;
  }
}

/** As `kubectl apply` creates it, to the letter, so that the user's own `kubectl apply` of the file finds nothing to change. */
function asApplied(manifest: Instance): Instance {
  const { metadata } = manifest;
  const applied = sortKeys({ ...manifest, metadata: { ...metadata, annotations: {} } });
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify(applied)}\n` };
  return { ...manifest, metadata: { ...metadata, annotations } };
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sortKeys(each)]));
}

/** Right after a start, the API still has what was so before the last stop; for this machine the engine knows better. */
async function runsHere({ metadata, status }: Instance, { socketPath, providerUid }: FirstInstanceOptions): Promise<boolean> {
  if (status?.assignment?.providerUID !== providerUid) return true;
  const containers = await createDockerEngine(socketPath).listContainers(providerUid);
  return containers.some(({ labels, state }) => labels[instanceUidLabel] === metadata.uid && state === 'running');
}
