import { parseArgs } from 'node:util';
import { UserError } from '../../api/errors.ts';
import type { Flag, Flags, FlagValues } from './command.ts';
import { nearestName } from './nearest-name.ts';

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

/**
 * Reads the arguments of one command; `--help` is answered before this. Throws UserError for a flag that does not exist (naming the nearest),
 * a value that is missing, not allowed or not expected, and for words that belong to nothing.
 */
export function parseFlags<F extends Flags>(command: string, flags: F, args: readonly string[]): FlagValues<F> {
  const { tokens } = parseArgs({ args: [...args], options: parseArgsOptions(flags), strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string | boolean | undefined> = {};
  for (const [name, flag] of Object.entries(flags)) values[name] = flag.type === 'boolean' ? flag.negatable === true : flag.default;
  for (const token of tokens) {
    if (token.kind === 'option') readOption(command, flags, token, values);
    if (token.kind === 'positional') {
      throw badArgument(
        command,
        `${command} takes no argument, and got ${quote(token.value)}`,
        'A value stands after its flag: --flag value',
      );
    }
  }
  return values as FlagValues<F>;
}

function readOption(command: string, flags: Flags, token: OptionToken, values: Record<string, string | boolean | undefined>): void {
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
  if (flag.choices !== undefined && !flag.choices.includes(token.value)) {
    throw badArgument(command, `${token.rawName} cannot be ${quote(token.value)}`, `It is one of ${flag.choices.join(', ')}`);
  }
  values[name] = token.value;
}

function parseArgsOptions(flags: Flags): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    Object.entries(flags).map(([name, { type, short }]) => [name, short === undefined ? { type } : { type, short }]),
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
