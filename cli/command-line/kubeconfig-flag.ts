import { existsSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import type { StringFlag } from './command.ts';
import { resolveHome } from './home-flag.ts';
import { poolPaths } from '../up/pool-paths.ts';

/** The flag of every command that acts as whoever runs it; goes with `--home`. */
export const kubeconfigFlag = {
  type: 'string',
  value: 'FILE',
  description: 'who you are in the pool; default $KUBECONFIG, or kubeconfig in the home of the pool',
} as const satisfies StringFlag;

/** Absolute. Of several files in `$KUBECONFIG` it is the first that is there: what `kubectl` would merge, this does not. */
export function resolveKubeconfig(values: { readonly kubeconfig: string | undefined; readonly home: string | undefined }): string {
  if (values.kubeconfig !== undefined) return resolve(values.kubeconfig);
  const named = (process.env['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  const chosen = named.find((file) => existsSync(file)) ?? named[0];
  return chosen === undefined ? poolPaths(resolveHome(values.home)).kubeconfig : resolve(chosen);
}
