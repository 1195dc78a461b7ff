import type { Argument, Command, Flag } from './command.ts';

/** A command or a group of them, as a list shows it. */
export interface Summary {
  name: string;
  summary: string;
}

/** What `potluck --help` prints. Pure. */
export function formatOverview(commands: readonly Summary[]): string {
  return [
    'Potluck pools the machines of a group and runs containers on them.',
    '',
    'Usage: potluck COMMAND [flags]',
    '',
    ...formatSummaries(commands),
    '',
    'potluck COMMAND --help explains a command and its flags. The pool speaks the API of Kubernetes: use kubectl for everything in it.',
    '',
  ].join('\n');
}

/** What `potluck GROUP --help` prints. Pure. */
export function formatGroupHelp(group: Summary, commands: readonly Summary[]): string {
  return [
    `potluck ${group.name}: ${group.summary}`,
    '',
    `Usage: potluck ${group.name} COMMAND [flags]`,
    '',
    ...formatSummaries(commands),
    '',
    `potluck ${group.name} COMMAND --help explains a command and its flags.`,
    '',
  ].join('\n');
}

/** What `potluck COMMAND --help` prints. Pure. */
export function formatCommandHelp(command: Command): string {
  const flags = [...Object.entries(command.flags), ['help', { type: 'boolean', short: 'h', description: 'shows this' }] as const].map(
    ([name, flag]) => [leftOf(name, flag), rightOf(flag)] as const,
  );
  const words = command.arguments ?? [];
  return [
    `potluck ${command.name}: ${command.summary}`,
    '',
    ...(words.length === 0 ? [] : [`Usage: potluck ${command.name} ${words.map(usageOf).join(' ')} [flags]`, '']),
    ...(command.details === undefined ? [] : [command.details, '']),
    ...(words.length === 0 ? [] : ['Arguments:', ...formatRows(words.map(({ name, description }) => [name, description])), '']),
    'Flags:',
    ...formatRows(flags),
    '',
  ].join('\n');
}

function formatSummaries(commands: readonly Summary[]): string[] {
  return formatRows(commands.map(({ name, summary }) => [name, summary]));
}

function formatRows(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function usageOf({ name, optional, repeats }: Argument): string {
  const word = repeats === true ? `${name}...` : name;
  return optional === true ? `[${word}]` : word;
}

function leftOf(name: string, flag: Flag): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  if (flag.type !== 'boolean') return `${short}--${name} ${flag.value}${flag.type === 'list' ? '...' : ''}`;
  return flag.negatable === true ? `${short}--no-${name}` : `${short}--${name}`;
}

function rightOf(flag: Flag): string {
  const notes = [];
  if (flag.type === 'string' && flag.choices !== undefined) notes.push(flag.choices.join(' or '));
  if (flag.type === 'string' && flag.default !== undefined) notes.push(`default ${flag.default}`);
  return notes.length === 0 ? flag.description : `${flag.description} (${notes.join('; ')})`;
}
