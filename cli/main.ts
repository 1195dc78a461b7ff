/** The `potluck` command: finds the command, answers `--help`, and turns errors into one line and an exit code. */
import { UserError } from '../api/errors.ts';
import type { CommandTree } from './command-line/command.ts';
import { findCommand } from './command-line/find-command.ts';
import { formatCommandHelp, formatGroupHelp, formatOverview, type Summary } from './command-line/format-help.ts';
import { parseCommandLine } from './command-line/parse-flags.ts';

const commands: CommandTree = {
  up: async () => (await import('./up.ts')).upCommand,
  down: async () => (await import('./down.ts')).downCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  server: async () => (await import('./server.ts')).serverCommand,
  agent: async () => (await import('./agent.ts')).agentCommand,
  image: {
    summary: 'ready-made images for pools that have no registry to pull from',
    commands: { build: async () => (await import('./image/build.ts')).imageBuildCommand },
  },
  member: {
    summary: 'people of the pool: who they are, what they may do, how they get in',
    commands: {
      add: async () => (await import('./member/add.ts')).memberAddCommand,
      list: async () => (await import('./member/list.ts')).memberListCommand,
      delete: async () => (await import('./member/delete.ts')).memberDeleteCommand,
      token: {
        summary: 'tokens by which members get in',
        commands: {
          create: async () => (await import('./member/token-create.ts')).memberTokenCreateCommand,
          list: async () => (await import('./member/token-list.ts')).memberTokenListCommand,
          delete: async () => (await import('./member/token-delete.ts')).memberTokenDeleteCommand,
        },
      },
    },
  },
  token: {
    summary: 'makes, shows and revokes tokens by which machines join',
    commands: {
      create: async () => (await import('./token/create.ts')).tokenCreateCommand,
      list: async () => (await import('./token/list.ts')).tokenListCommand,
      delete: async () => (await import('./token/delete.ts')).tokenDeleteCommand,
    },
  },
  join: async () => (await import('./join.ts')).joinCommand,
  leave: async () => (await import('./leave.ts')).leaveCommand,
};

async function main(args: readonly string[]): Promise<number | undefined> {
  const found = findCommand(commands, args);
  if (found.kind === 'overview') {
    process.stdout.write(formatOverview(await summariesOf(commands)));
    return found.isMistake ? 2 : 0;
  }
  if (found.kind === 'group-help') {
    process.stdout.write(formatGroupHelp({ name: found.name, summary: found.group.summary }, await summariesOf(found.group.commands)));
    return found.isMistake ? 2 : 0;
  }
  const command = await found.load();
  if (found.rest.some((arg) => arg === '--help' || arg === '-h')) {
    process.stdout.write(formatCommandHelp(command));
    return 0;
  }
  const { values, words } = parseCommandLine(command, found.rest);
  return await command.run(values, words);
}

/** In the order in which they are declared. */
async function summariesOf(tree: CommandTree): Promise<Summary[]> {
  return Promise.all(
    Object.entries(tree).map(async ([name, entry]) => ({
      name,
      summary: typeof entry === 'function' ? (await entry()).summary : entry.summary,
    })),
  );
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
