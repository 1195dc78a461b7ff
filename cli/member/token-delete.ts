import { UserError } from '../../api/errors.ts';
import { memberNamespace } from '../../api/names.ts';
import { keyOf } from '../../api/object.ts';
import { secrets } from '../../api/resource-type.ts';
import type { Secret } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { defineCommand } from '../command-line/command.ts';
import { clientFlags, withClient } from '../with-client.ts';
import { isMemberToken } from './member-token.ts';

export const memberTokenDeleteCommand = defineCommand({
  name: 'member token delete',
  summary: 'ends tokens of members at once',
  flags: clientFlags,
  arguments: [{ name: 'TOKEN', description: 'its name, as potluck member token list shows it', repeats: true }],
  run: async (values, names) =>
    withClient(values, async ({ client }) => {
      // All are looked for before the first is deleted: a misspelt name changes nothing.
      const found = await Promise.all(names.map((name) => getToken(client, name)));
      for (const secret of found) {
        await client.delete(secrets, keyOf(secret));
        process.stdout.write(`${secret.metadata.name ?? ''} ends now\n`);
      }
      return 0;
    }),
});

async function getToken(client: Client, name: string): Promise<Secret> {
  const secret = await client.get(secrets, { namespace: memberNamespace, name }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (secret !== undefined && isMemberToken(secret)) return secret;
  throw new UserError('BAD_ARGUMENT', `there is no token ${JSON.stringify(name.slice(0, 60))}`, 'potluck member token list shows them');
}
