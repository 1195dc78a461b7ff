import { parseArgs } from 'node:util';
import { UserError } from '../../api/errors.ts';
import type { Argument, Command, Flag, Flags, FlagValues } from './command.ts';
import { nearestName } from './nearest-name.ts';

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

export interface CommandLine<F extends Flags> {
  values: FlagValues<F>;
  /** The arguments, in their order. */
  words: string[];
}

/**
 * Reads what follows the name of a command; `--help` is answered before this. Throws UserError for a flag that does not exist (naming the
 * nearest), a value that is missing, not allowed or not expected, an argument that is missing, and for words that belong to nothing.
 */
export function parseCommandLine<F extends Flags>(
  command: Pick<Command<F>, 'name' | 'flags' | 'arguments'>,
  args: readonly string[],
): CommandLine<F> {
  const { name, flags } = command;
  const { tokens } = parseArgs({ args: [...args], options: parseArgsOptions(flags), strict: false, allowPositionals: true, tokens: true });
  const values: Values = {};
  for (const [flagName, flag] of Object.entries(flags)) values[flagName] = initialValue(flag);
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'option') readOption(name, flags, token, values);
    if (token.kind === 'positional') words.push(token.value);
  }
  checkWords(name, command.arguments ?? [], words);
  return { values: values as FlagValues<F>, words };
}

type Values = Record<string, string | boolean | readonly string[] | undefined>;

function initialValue(flag: Flag): Values[string] {
  switch (flag.type) {
    case 'boolean':
      return flag.negatable === true;
    case 'list':
      return [];
    case 'string':
      return flag.default;
  }
}

function checkWords(command: string, known: readonly Argument[], words: readonly string[]): void {
  const missing = known[words.length];
  if (missing !== undefined && missing.optional !== true) {
    throw badArgument(command, `${missing.name} is missing`, `It is ${missing.description}; potluck ${command} --help says more`);
  }
  const extra = words[known.length];
  if (extra === undefined || known.at(-1)?.repeats === true) return;
  const takes = known.length === 0 ? 'no argument' : `only ${known.map(({ name }) => name).join(' ')}`;
  throw badArgument(command, `${command} takes ${takes}, and got ${quote(extra)}`, 'The value of a flag stands after it: --flag value');
}

function readOption(command: string, flags: Flags, token: OptionToken, values: Values): void {
  const negated = token.name.startsWith('no-') && isNegatable(flags[token.name.slice(3)]);
  const name = negated ? token.name.slice(3) : token.name;
  const flag = flags[name];
  if (flag === undefined) throw unknownFlag(command, flags, token);
  if (flag.type === 'boolean') {
    if (token.value !== undefined)
      throw badArgument(command, `${token.rawName} takes no value, and got ${quote(token.value)}`, 'Leave it out');
    values[name] = !negated;
    return;
  }
  // A value that looks like a flag is a forgotten value, unless it was tied on with `=`.
  if (token.value === undefined || (!token.inlineValue && token.value.startsWith('-') && token.value !== '-')) {
    throw badArgument(command, `${token.rawName} needs a value`, `For example ${token.rawName} ${flag.value}`);
  }
  if (flag.type === 'list') {
    values[name] = [...((values[name] ?? []) as readonly string[]), token.value];
    return;
  }
  if (flag.choices !== undefined && !flag.choices.includes(token.value)) {
    throw badArgument(command, `${token.rawName} cannot be ${quote(token.value)}`, `It is one of ${flag.choices.join(', ')}`);
  }
  values[name] = token.value;
}

function parseArgsOptions(flags: Flags): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => {
      const type = flag.type === 'boolean' ? 'boolean' : 'string';
      return [name, flag.short === undefined ? { type } : { type, short: flag.short }];
    }),
  );
}

function isNegatable(flag: Flag | undefined): boolean {
  return flag?.type === 'boolean' && flag.negatable === true;
}

function unknownFlag(command: string, flags: Flags, token: OptionToken): UserError {
  const names = Object.entries(flags).flatMap(([name, flag]) => (isNegatable(flag) ? [name, `no-${name}`] : [name]));
  const nearest = nearestName(token.name, [...names, 'help']);
  const remedy = nearest === undefined ? `potluck ${command} --help lists what there is` : `Did you mean --${nearest}?`;
  return badArgument(command, `${command} has no flag ${token.rawName}`, remedy);
}

function badArgument(command: string, what: string, remedy: string): UserError {
  return new UserError('BAD_ARGUMENT', `potluck ${command}: ${what}`, remedy);
}

/** For messages: short, on one line, visible. */
function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
