/** What a command is: its flags as data, so that `--help` and the parser say the same, and a function that runs it. */

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

export type Flag = BooleanFlag | StringFlag;
export type Flags = Readonly<Record<string, Flag>>;

/** Strings are undefined where neither given nor defaulted; booleans are false, or true if negatable. */
export type FlagValues<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends BooleanFlag ? boolean : F[Name] extends { default: string } ? string : string | undefined;
};

export interface Command<F extends Flags = Flags> {
  name: string;
  /** One line, without a full stop. */
  summary: string;
  /** More, as paragraphs. */
  details?: string;
  flags: F;
  /** Answers the exit code, or undefined when something that runs on will end the process. */
  run(values: FlagValues<F>): Promise<number | undefined>;
}

/** Ties the type of the values to the flags. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command;
}
