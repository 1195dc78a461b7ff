/** NVIDIA's graphics processors, as the driver shows them below `/proc`. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface Gpu {
  /** The driver's own, `GPU-…`: the same after every start, whatever slot it is in. */
  id: string;
  model: string;
}

/** One of these hands devices to containers when the engine asks. */
const toolkits = [
  'usr/bin/nvidia-container-runtime-hook',
  'usr/bin/nvidia-container-toolkit',
  'usr/local/bin/nvidia-container-runtime-hook',
  'usr/local/nvidia/toolkit/nvidia-container-runtime-hook',
];
/** Where specifications of the Container Device Interface are. */
const cdiDirectories = ['etc/cdi', 'var/run/cdi'];
/** More than any machine has. */
const mostGpus = 64;

/**
 * Those that instances can be given: none on a machine without NVIDIA's container toolkit, with which the engine could not hand them over. By
 * their ids. `root` is `/`, or a recorded tree.
 */
export async function readGpus(root: string): Promise<Gpu[]> {
  const directory = join(root, 'proc/driver/nvidia/gpus');
  const slots = await readdir(directory).catch(() => []);
  if (slots.length === 0 || !(await hasToolkit(root))) return [];
  const texts = await Promise.all(slots.map((slot) => readFile(join(directory, slot, 'information'), 'utf8').catch(() => '')));
  const found = texts.flatMap((text) => parseInformation(text) ?? []);
  return found.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, mostGpus);
}

/** Undefined before the driver has opened it: then its id is a row of question marks. */
export function parseInformation(text: string): Gpu | undefined {
  const id = /^GPU UUID:\s*(GPU-[0-9a-f-]+)\s*$/m.exec(text)?.[1];
  const model = /^Model:\s*(.*?)\s*$/m.exec(text)?.[1] ?? '';
  return id === undefined ? undefined : { id, model };
}

async function hasToolkit(root: string): Promise<boolean> {
  const programs = await Promise.all(toolkits.map((path) => exists(join(root, path))));
  return programs.includes(true) || hasCdi(root);
}

async function hasCdi(root: string): Promise<boolean> {
  for (const directory of cdiDirectories) {
    const names = (await readdir(join(root, directory)).catch(() => [])).filter((name) => /\.(ya?ml|json)$/.test(name));
    for (const name of names) {
      const text = await readFile(join(root, directory, name), 'utf8').catch(() => '');
      if (/kind"?:\s*"?nvidia\.com\/gpu\b/.test(text)) return true;
    }
  }
  return false;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
