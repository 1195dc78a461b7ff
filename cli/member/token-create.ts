import { defineCommand } from '../command-line/command.ts';
import { outputFlag } from '../command-line/output-flag.ts';
import { clientFlags, withClient } from '../with-client.ts';
import { createMemberToken, formatNewToken, getMember, readTokenOptions, sayNewToken, tokenFlags } from './member-token.ts';

export const memberTokenCreateCommand = defineCommand({
  name: 'member token create',
  summary: 'prints another kubeconfig for a member',
  details: 'Those that the member has go on working.',
  flags: { ...tokenFlags, ...clientFlags, output: outputFlag },
  arguments: [{ name: 'NAME', description: 'the member' }],
  run: async (values, [name = '']) =>
    withClient(values, async ({ client, kubeconfig }) => {
      const options = await readTokenOptions(values, kubeconfig);
      const token = await createMemberToken(client, await getMember(client, name), options);
      process.stderr.write(sayNewToken(token));
      process.stdout.write(formatNewToken(token, values.output));
      return 0;
    }),
});
