/** Finds what the first words of a command line name. */
import { UserError } from '../../api/errors.ts';
import type { CommandGroup, CommandLoader, CommandTree } from './command.ts';
import { nearestName } from './nearest-name.ts';

export type Found =
  | { kind: 'command'; load: CommandLoader; rest: readonly string[] }
  /** Help was asked for; `isMistake` where a command is missing rather than help wanted. */
  | { kind: 'overview'; isMistake: boolean }
  | { kind: 'group-help'; name: string; group: CommandGroup; isMistake: boolean };

/** Throws UserError, naming the nearest, for a command that does not exist. */
export function findCommand(tree: CommandTree, args: readonly string[]): Found {
  const [name, ...rest] = args;
  if (name === undefined || isHelp(name)) return { kind: 'overview', isMistake: name === undefined };
  return findIn(lookUp(tree, name, ''), name, rest);
}

function findIn(entry: CommandLoader | CommandGroup, name: string, args: readonly string[]): Found {
  if (typeof entry === 'function') return { kind: 'command', load: entry, rest: args };
  const [next, ...rest] = args;
  if (next === undefined || isHelp(next)) return { kind: 'group-help', name, group: entry, isMistake: next === undefined };
  return findIn(lookUp(entry.commands, next, `${name} `), `${name} ${next}`, rest);
}

function isHelp(word: string): boolean {
  return ['--help', '-h', 'help'].includes(word);
}

/** `prefix` is what led here, with a space behind it. */
function lookUp(entries: CommandTree, name: string, prefix: string): CommandLoader | CommandGroup {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry !== undefined) return entry;
  const nearest = nearestName(name, Object.keys(entries));
  const remedy = nearest === undefined ? `potluck ${prefix}--help lists the commands` : `Did you mean ${prefix}${nearest}?`;
  throw new UserError('BAD_ARGUMENT', `there is no command ${JSON.stringify(`${prefix}${name}`.slice(0, 60))}`, remedy);
}
