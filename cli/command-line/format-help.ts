import type { Command, Flag } from './command.ts';

/** What `potluck --help` prints. Pure. */
export function formatOverview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    'Potluck pools the machines of a group and runs containers on them.',
    '',
    'Usage: potluck COMMAND [flags]',
    '',
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    '',
    'potluck COMMAND --help explains a command and its flags. The pool speaks the API of Kubernetes: use kubectl for everything in it.',
    '',
  ].join('\n');
}

/** What `potluck COMMAND --help` prints. Pure. */
export function formatCommandHelp(command: Command): string {
  const rows = [...Object.entries(command.flags), ['help', { type: 'boolean', short: 'h', description: 'shows this' }] as const].map(
    ([name, flag]) => [leftOf(name, flag), rightOf(flag)] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    `potluck ${command.name}: ${command.summary}`,
    '',
    ...(command.details === undefined ? [] : [command.details, '']),
    'Flags:',
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    '',
  ].join('\n');
}

function leftOf(name: string, flag: Flag): string {
  const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
  if (flag.type === 'string') return `${short}--${name} ${flag.value}`;
  return flag.negatable === true ? `${short}--no-${name}` : `${short}--${name}`;
}

function rightOf(flag: Flag): string {
  const notes = [];
  if (flag.type === 'string' && flag.choices !== undefined) notes.push(flag.choices.join(' or '));
  if (flag.type === 'string' && flag.default !== undefined) notes.push(`default ${flag.default}`);
  return notes.length === 0 ? flag.description : `${flag.description} (${notes.join('; ')})`;
}
