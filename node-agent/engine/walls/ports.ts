/** Which port of the bridge belongs to which container: written down at each start, so that the bridge's set can be filled again. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../run-command.ts';

export interface Port {
  containerId: string;
  /** The host's end of the container's link: a number that is not given twice. */
  interfaceIndex: number;
  mac: string;
  address: string;
}

/** Of the containers that run. */
export async function readPorts(directory: string, namespace: string): Promise<Port[]> {
  const ids = await readdir(directory).catch(() => []);
  const ports = (await Promise.all(ids.map((id) => readPort(directory, id)))).filter((port) => port !== undefined);
  if (ports.length === 0) return [];
  const links = JSON.parse(await runCommand('nsenter', [`--net=${namespace}`, 'ip', '-json', 'link'])) as { ifindex: number }[];
  const present = new Set(links.map(({ ifindex }) => ifindex));
  return ports.filter(({ interfaceIndex }) => present.has(interfaceIndex));
}

/** Undefined when the container was never started, or is not on the bridge. */
export async function readPort(directory: string, containerId: string): Promise<Port | undefined> {
  const text = await readFile(join(directory, containerId), 'utf8').catch(() => '');
  const [index = '', mac = '', address = ''] = text.trim().split(' ');
  return /^\d+$/.test(index) && mac !== '' && address !== '' ? { containerId, interfaceIndex: Number(index), mac, address } : undefined;
}

/** As an element of the bridge's set. */
export function portElement({ interfaceIndex, mac, address }: Port): string {
  return `${interfaceIndex} . ${mac} . ${address}`;
}
