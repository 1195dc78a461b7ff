import { readFile } from 'node:fs/promises';
import { UserError } from '../../api/errors.ts';
import { parseJoinToken, type JoinTokenText } from '../../api/join-token-format.ts';

/** Longer than any token. */
const longest = 4_096;
const stdinTimeoutMs = 60_000;

export interface TokenSource {
  /** As given as an argument; `-` reads standard input. */
  word: string | undefined;
  file: string | undefined;
}

/** Undefined where none was given. What is no token is never repeated in the message: it may be one with a slip of the pen. */
export async function readToken({ word, file }: TokenSource): Promise<JoinTokenText | undefined> {
  if (word !== undefined && file !== undefined) {
    throw new UserError('BAD_ARGUMENT', 'potluck join: the token was given twice', 'Give TOKEN or --token-file, not both');
  }
  if (word === undefined && file === undefined) return undefined;
  const text = file === undefined ? (word === '-' ? await readStandardInput() : word) : await readTokenFile(file);
  const token = parseJoinToken((text ?? '').trim());
  if (token !== undefined) return token;
  const remedy = 'Copy the whole of it: plk1., then three parts with a point between them; potluck token create makes one';
  throw new UserError('BAD_ARGUMENT', 'potluck join: that is no join token', remedy);
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).slice(0, longest);
  } catch (error) {
    const what = `--token-file ${file} cannot be read: ${(error as Error).message}`;
    throw new UserError('BAD_ARGUMENT', what, 'Give the path of a file with the token in it', { cause: error });
  }
}

/** One line is enough: whoever pastes it into a terminal need not end the input. */
async function readStandardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Join token: ');
  const timer = setTimeout(() => process.stdin.destroy(new Error('nothing came')), stdinTimeoutMs);
  let text = '';
  try {
    process.stdin.setEncoding('utf8');
    for await (const chunk of process.stdin) {
      text += String(chunk);
      if (text.trimStart().includes('\n') || text.length > longest) break;
    }
  } catch (error) {
    const what = `potluck join: no token came on standard input: ${(error as Error).message}`;
    throw new UserError('BAD_ARGUMENT', what, 'Pipe it in, or use --token-file', { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return text.trim().split('\n')[0] ?? '';
}
