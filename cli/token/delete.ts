import { UserError } from '../../api/errors.ts';
import { joinTokens } from '../../api/resource-type.ts';
import { isNotFound } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { defineCommand } from '../command-line/command.ts';
import { clientFlags, withClient } from '../with-client.ts';

export const tokenDeleteCommand = defineCommand({
  name: 'token delete',
  summary: 'revokes join tokens; who has joined by them stays',
  arguments: [{ name: 'ID', description: 'the second part of a token, after plk1., as potluck token list shows it', repeats: true }],
  flags: clientFlags,
  run: async (values, ids) => {
    for (const id of ids) {
      if (/^[a-z0-9]{8}$/.test(id)) continue;
      // Someone who pastes the whole token must not find its secret in a log.
      throw new UserError('BAD_ARGUMENT', 'that is no id of a token', 'It has eight letters and digits; potluck token list shows it');
    }
    await withClient(values, ({ client }) => deleteTokens(client, ids));
    return 0;
  },
});

/** Deletes all that are there, and then says which were not. */
async function deleteTokens(client: Client, ids: readonly string[]): Promise<void> {
  const missing = [];
  for (const id of ids) {
    try {
      await client.delete(joinTokens, { name: id });
      process.stdout.write(`join token ${id} deleted\n`);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      missing.push(id);
    }
  }
  if (missing.length > 0) {
    throw new UserError('BAD_ARGUMENT', `there is no join token ${missing.join(', ')}`, 'potluck token list shows those that there are');
  }
}
