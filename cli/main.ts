/** The `potluck` command: finds the command, answers `--help`, and turns errors into one line and an exit code. */
import { UserError } from '../api/errors.ts';
import type { Command } from './command-line/command.ts';
import { formatCommandHelp, formatOverview } from './command-line/format-help.ts';
import { nearestName } from './command-line/nearest-name.ts';
import { parseFlags } from './command-line/parse-flags.ts';

/** Loaded only when asked for: `potluck status` need not read the API server. */
const loaders: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./up.ts')).upCommand,
  down: async () => (await import('./down.ts')).downCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  server: async () => (await import('./server.ts')).serverCommand,
  agent: async () => (await import('./agent.ts')).agentCommand,
};

async function main(args: readonly string[]): Promise<number | undefined> {
  const [name = '--help', ...rest] = args;
  if (['--help', '-h', 'help'].includes(name)) {
    process.stdout.write(formatOverview(await Promise.all(Object.values(loaders).map((load) => load()))));
    return args.length === 0 ? 2 : 0;
  }
  const load = Object.hasOwn(loaders, name) ? loaders[name] : undefined;
  if (load === undefined) {
    const nearest = nearestName(name, Object.keys(loaders));
    const remedy = nearest === undefined ? 'potluck --help lists the commands' : `Did you mean ${nearest}?`;
    throw new UserError('BAD_ARGUMENT', `there is no command ${JSON.stringify(name.slice(0, 60))}`, remedy);
  }
  const command = await load();
  if (rest.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(formatCommandHelp(command));
    return 0;
  }
  return await command.run(parseFlags(name, command.flags, rest));
}

try {
  const exitCode = await main(process.argv.slice(2));
  if (exitCode !== undefined) process.exitCode = exitCode;
} catch (error) {
  process.stderr.write(
    error instanceof UserError ? `${error.toString()}\n` : `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 1;
}
