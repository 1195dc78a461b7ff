/** What a command is: its flags and arguments as data, so that `--help` and the parser say the same, and a function that runs it. */

interface FlagBase {
  /** One line for `--help`, without a full stop. */
  description: string;
  /** One letter, used with one dash. */
  short?: string;
}

export interface BooleanFlag extends FlagBase {
  type: 'boolean';
  /** Also accepts `--no-<name>`; then absent means true. */
  negatable?: true;
}

export interface StringFlag extends FlagBase {
  type: 'string';
  /** What stands for the value in `--help`: `HOST:PORT`. */
  value: string;
  default?: string;
  /** The values that are allowed; any when absent. */
  choices?: readonly string[];
}

/** May be given several times. */
export interface ListFlag extends FlagBase {
  type: 'list';
  /** What stands for one value in `--help`. */
  value: string;
}

export type Flag = BooleanFlag | StringFlag | ListFlag;
export type Flags = Readonly<Record<string, Flag>>;

/** Strings are undefined where neither given nor defaulted; booleans are false, or true if negatable; lists have what was given, in its order. */
export type FlagValues<F extends Flags> = { readonly [Name in keyof F]: FlagValue<F[Name]> };

type FlagValue<F extends Flag> = F extends BooleanFlag
  ? boolean
  : F extends ListFlag
    ? readonly string[]
    : F extends { default: string }
      ? string
      : string | undefined;

/** A word without a dash, read by its place. */
export interface Argument {
  /** As `--help` shows it: `URL`. */
  name: string;
  /** One line for `--help`, without a full stop. */
  description: string;
  /** May be left out; only arguments that may be left out too come after it. */
  optional?: true;
  /** The last one may take every word that is left; without `optional`, at least one. */
  repeats?: true;
}

export interface Command<F extends Flags = Flags> {
  /** With the name of its group before it: `token create`. */
  name: string;
  /** One line, without a full stop. */
  summary: string;
  /** More, as paragraphs. */
  details?: string;
  flags: F;
  /** None when absent. */
  arguments?: readonly Argument[];
  /**
   * Answers the exit code, or undefined when something that runs on will end the process. `words` has the arguments in their order, as many
   * as were given and never more than are declared.
   */
  run(values: FlagValues<F>, words: readonly string[]): Promise<number | undefined>;
}

/** Loaded only when asked for: `potluck status` need not read the API server. */
export type CommandLoader = () => Promise<Command>;

/** Commands with a first word in common: `potluck token create`, `potluck token list`. */
export interface CommandGroup {
  /** One line, without a full stop. */
  summary: string;
  /** By their next word. */
  commands: CommandTree;
}

export type CommandTree = Readonly<Record<string, CommandLoader | CommandGroup>>;

/** Ties the type of the values to the flags. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command;
}
