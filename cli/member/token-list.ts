import { parseTime } from '../../api/time.ts';
import { defineCommand } from '../command-line/command.ts';
import { formatTable } from '../command-line/format-table.ts';
import { outputFlag } from '../command-line/output-flag.ts';
import { clientFlags, withClient } from '../with-client.ts';
import { listMemberTokens } from './member-token.ts';

export const memberTokenListCommand = defineCommand({
  name: 'member token list',
  summary: 'shows the tokens of a member, or of all, never the tokens themselves',
  flags: { ...clientFlags, output: outputFlag },
  arguments: [{ name: 'NAME', description: 'the member', optional: true }],
  run: async (values, [name]) =>
    withClient(values, async ({ client }) => {
      const nowMs = Date.now();
      const rows = (await listMemberTokens(client, name)).map(({ name: tokenName, member, expirationTimestamp }) => ({
        name: tokenName,
        member,
        expirationTimestamp,
        isExpired: (parseTime(expirationTimestamp) ?? nowMs) <= nowMs,
      }));
      const table = rows.map((row) => [row.name, row.member, `${row.expirationTimestamp}${row.isExpired ? ' (expired)' : ''}`]);
      const text = rows.length === 0 ? 'No tokens.' : formatTable(['TOKEN', 'MEMBER', 'EXPIRES'], table);
      process.stdout.write(`${values.output === 'json' ? JSON.stringify(rows, null, 2) : text}\n`);
      return 0;
    }),
});
