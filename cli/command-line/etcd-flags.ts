import { readFile } from 'node:fs/promises';
import { UserError } from '../../api/errors.ts';
import type { Flags, FlagValues } from './command.ts';

/** How to reach an etcd that somebody else runs. */
export const etcdFlags = {
  'etcd-servers': { type: 'string', value: 'URL[,URL]', description: 'an etcd to use' },
  'etcd-cafile': { type: 'string', value: 'FILE', description: "certificate of etcd's authority" },
  'etcd-certfile': { type: 'string', value: 'FILE', description: 'our certificate for etcd' },
  'etcd-keyfile': { type: 'string', value: 'FILE', description: 'the key of that certificate' },
} as const satisfies Flags;

/** Answers the addresses, or undefined where none was given. */
export function etcdServers(values: FlagValues<typeof etcdFlags>): readonly string[] | undefined {
  const servers = values['etcd-servers']?.split(',').map((url) => url.trim());
  for (const url of servers ?? []) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new UserError(
        'BAD_ARGUMENT',
        `--etcd-servers has ${JSON.stringify(url)}, which is no URL of an etcd`,
        'For example https://10.0.0.1:2379',
      );
    }
  }
  if ((values['etcd-certfile'] === undefined) !== (values['etcd-keyfile'] === undefined)) {
    throw new UserError('BAD_ARGUMENT', 'of --etcd-certfile and --etcd-keyfile only one was given', 'Give both, or none');
  }
  return servers;
}

/** Reads the files; undefined where none was given. */
export async function readEtcdTls(values: FlagValues<typeof etcdFlags>): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer } | undefined> {
  const files = { ca: values['etcd-cafile'], cert: values['etcd-certfile'], key: values['etcd-keyfile'] };
  const entries = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(await Promise.all(entries.map(async ([name, file]) => [name, await read(file)] as const)));
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new UserError('BAD_ARGUMENT', `${file} cannot be read: ${(error as Error).message}`, 'Give the path of a PEM file', {
      cause: error,
    });
  }
}
