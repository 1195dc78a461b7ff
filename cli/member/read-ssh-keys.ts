import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { UserError } from '../../api/errors.ts';
import { parseSshPublicKey, sshKeyTypes } from '../../api/ssh-public-key.ts';

/** Of what `--ssh-key` names, together. */
const mostBytes = 256 * 1024;

/**
 * The lines of keys that `--ssh-key` names: files as authorized_keys or *.pub, `-` for standard input, or a key itself. Comments and empty lines are left
 * out. Throws UserError that names the file and the line of what is no key; never with what stands there.
 */
export async function readSshKeys(sources: readonly string[], stdin: NodeJS.ReadableStream): Promise<string[]> {
  if (sources.filter((source) => source === '-').length > 1) {
    throw new UserError('BAD_ARGUMENT', '--ssh-key - is given twice', 'Standard input can be read once; it may have several keys');
  }
  const keys: string[] = [];
  for (const source of sources) {
    const isKey = sshKeyTypes.some((type) => source.startsWith(`${type} `));
    const name = isKey ? '--ssh-key' : source === '-' ? 'standard input' : source;
    const content = isKey ? source : await readSource(source, stdin);
    const found = keysOf(content, name);
    if (found.length === 0)
      throw new UserError('BAD_ARGUMENT', `${name} has no SSH key`, 'Give a public key, for example ~/.ssh/id_ed25519.pub');
    keys.push(...found);
  }
  return [...new Set(keys)];
}

async function readSource(source: string, stdin: NodeJS.ReadableStream): Promise<string> {
  try {
    const content = source === '-' ? await text(stdin) : await readFile(source, 'utf8');
    if (content.length <= mostBytes) return content;
  } catch (error) {
    const what = `--ssh-key: ${(error as NodeJS.ErrnoException).code ?? 'error'} when reading ${source === '-' ? 'standard input' : source}`;
    throw new UserError('BAD_ARGUMENT', what, 'Give a file with a public key, or - for standard input', { cause: error });
  }
  throw new UserError('BAD_ARGUMENT', `--ssh-key: ${source} has more than ${mostBytes} bytes`, 'Give a file with public keys only');
}

function keysOf(content: string, name: string): string[] {
  return content.split('\n').flatMap((raw, index) => {
    const line = raw.trim().replace(/^(\S+)\s+(\S+)/, '$1 $2');
    if (line === '' || line.startsWith('#')) return [];
    const { problem } = parseSshPublicKey(line);
    if (problem === undefined) return [line];
    throw new UserError('BAD_ARGUMENT', `${name}, line ${index + 1}: no SSH public key: ${problem}`, 'Give the line of a .pub file');
  });
}
