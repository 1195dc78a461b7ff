/** Finds what the first words of a command line name. */
import { UserError } from '../../api/errors.ts';
import type { CommandGroup, CommandLoader } from './command.ts';
import { nearestName } from './nearest-name.ts';

export type CommandTree = Readonly<Record<string, CommandLoader | CommandGroup>>;

export type Found =
  | { kind: 'command'; load: CommandLoader; rest: readonly string[] }
  /** Help was asked for; `isMistake` where a command is missing rather than help wanted. */
  | { kind: 'overview'; isMistake: boolean }
  | { kind: 'group-help'; name: string; group: CommandGroup; isMistake: boolean };

/** Throws UserError, naming the nearest, for a command that does not exist. */
export function findCommand(tree: CommandTree, args: readonly string[]): Found {
  const [name, ...rest] = args;
  if (name === undefined || isHelp(name)) return { kind: 'overview', isMistake: name === undefined };
  const entry = lookUp(tree, name, undefined);
  if (typeof entry === 'function') return { kind: 'command', load: entry, rest };
  const [second, ...others] = rest;
  if (second === undefined || isHelp(second)) return { kind: 'group-help', name, group: entry, isMistake: second === undefined };
  return { kind: 'command', load: lookUp(entry.commands, second, name), rest: others };
}

function isHelp(word: string): boolean {
  return ['--help', '-h', 'help'].includes(word);
}

function lookUp<T>(entries: Readonly<Record<string, T>>, name: string, group: string | undefined): T {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry !== undefined) return entry;
  const prefix = group === undefined ? '' : `${group} `;
  const nearest = nearestName(name, Object.keys(entries));
  const remedy = nearest === undefined ? `potluck ${prefix}--help lists the commands` : `Did you mean ${prefix}${nearest}?`;
  throw new UserError('BAD_ARGUMENT', `there is no command ${JSON.stringify(`${prefix}${name}`.slice(0, 60))}`, remedy);
}
