import { createInterface } from 'node:readline/promises';
import { UserError } from '../../api/errors.ts';
import type { Member } from '../../api/generated/member.ts';
import { instances, members, providers } from '../../api/resource-type.ts';
import type { Client } from '../../client/client.ts';
import { defineCommand } from '../command-line/command.ts';
import { clientFlags, withClient } from '../with-client.ts';
import { getMember, listMemberTokens } from './member-token.ts';

export const memberDeleteCommand = defineCommand({
  name: 'member delete',
  summary: 'removes a member with their namespace, instances and tokens',
  details: 'The machines that they lend stay in the pool; potluck member delete says which.',
  flags: { yes: { type: 'boolean', short: 'y', description: 'does not ask' }, ...clientFlags },
  arguments: [{ name: 'NAME', description: 'the member' }],
  run: async (values, [name = '']) =>
    withClient(values, async ({ client }) => {
      const member = await getMember(client, name);
      process.stderr.write(await sayWhatGoes(client, member));
      if (!values.yes && !(await confirm(name))) {
        process.stderr.write('Nothing was changed.\n');
        return 1;
      }
      const { uid = '' } = member.metadata;
      await client.delete(members, { name }, { preconditions: { uid } });
      process.stdout.write(`${name} is no member any more\n`);
      return 0;
    }),
});

/** Only the namespace that is theirs. */
async function sayWhatGoes(client: Client, { metadata: { name = '' }, status }: Member): Promise<string> {
  const namespace = status?.namespace;
  const [theirs, tokens, machines] = await Promise.all([
    namespace === undefined ? [] : client.list(instances, { namespace }).then(({ items }) => items),
    listMemberTokens(client, name),
    client.list(providers).then(({ items }) => items.filter(({ spec }) => spec.owner === name)),
  ]);
  const names = (objects: readonly { metadata: { name?: string } }[]): string =>
    objects.length === 0
      ? ''
      : ` (${objects
          .slice(0, 10)
          .map((object) => object.metadata.name ?? '')
          .join(', ')}${objects.length > 10 ? ', …' : ''})`;
  const lines = [
    `With the member ${name} go:`,
    namespace === undefined ? '  no namespace' : `  the namespace ${namespace} with all that is in it`,
    `  ${theirs.length} instances and their disks${names(theirs)}`,
    `  ${tokens.length} tokens`,
    `${machines.length} machines of theirs stay${names(machines)}`,
  ];
  return `${lines.join('\n')}\n`;
}

async function confirm(name: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new UserError('BAD_ARGUMENT', `nobody can be asked whether ${name} is to be deleted`, 'Add --yes where there is no terminal');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`Delete the member ${name}? Type the name to confirm: `)).trim() === name;
  } finally {
    terminal.close();
  }
}
