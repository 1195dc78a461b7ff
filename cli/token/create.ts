import { UserError } from '../../api/errors.ts';
import { formatJoinToken } from '../../api/join-token-format.ts';
import { joinTokens } from '../../api/resource-type.ts';
import { isAlreadyExists } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { currentEntries, loadKubeconfig } from '../../client/kubeconfig.ts';
import { defineCommand, type FlagValues } from '../command-line/command.ts';
import { outputFlag } from '../command-line/output-flag.ts';
import { parseDuration } from '../command-line/parse-duration.ts';
import { clientFlags, withClient } from '../with-client.ts';
import { newToken, type NewToken, type TokenWish } from './new-token.ts';
import { parseServerUrl, reachableServer, readAuthorityHash } from './pool-address.ts';

const longestTtlMs = 24 * 3_600_000;
const attempts = 5;

const flags = {
  owner: { type: 'string', value: 'NAME', description: 'the member whose machine joins by it' },
  ttl: { type: 'string', value: 'DURATION', default: '15m', description: 'how long it can be used, at most 24h' },
  uses: { type: 'string', value: 'COUNT', default: '1', description: 'how many machines may join by it' },
  provider: { type: 'string', value: 'NAME', description: 'the only name that a machine may join by' },
  'approve-by-hand': { type: 'boolean', description: 'lets nobody in before kubectl certificate approve' },
  server: { type: 'string', value: 'URL', description: 'where the other machine reaches the pool; default as this one does' },
  output: outputFlag,
  ...clientFlags,
} as const;

export const tokenCreateCommand = defineCommand({
  name: 'token create',
  summary: 'makes a token and prints the command by which another machine joins with it',
  details:
    'The secret is made here, and the pool keeps its hash only: what is printed cannot be shown again. Anyone who has it can lend a machine in the\n' +
    "owner's name until it is over, used up or deleted. Works for admins, and for members with their own name as owner.",
  flags,
  run: async (values) => {
    const wish = readWish(values);
    const server = values.server === undefined ? undefined : parseServerUrl('--server', values.server).origin;
    const { made, caHash, reachable } = await withClient(values, async ({ client, kubeconfig: file }) => {
      const kubeconfig = await loadKubeconfig(file);
      return {
        caHash: await readAuthorityHash(kubeconfig, file),
        reachable: server ?? reachableServer(currentEntries(kubeconfig).cluster.server),
        made: await createToken(client, wish),
      };
    });
    const token = formatJoinToken({ id: made.id, secret: made.secret, caHash });
    const command = `sudo bin/potluck join ${reachable} ${token}`;
    const { owner, uses, expirationTimestamp } = made.object.spec;
    if (values.output === 'json') {
      const answer = { id: made.id, token, server: reachable, command, owner, uses, expirationTimestamp };
      process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
      return 0;
    }
    process.stdout.write(`${command}\n`);
    process.stderr.write(`Run it in a clone of Potluck on the other machine, before ${expirationTimestamp}; npm ci is not needed there.\n`);
    return 0;
  },
});

function readWish(values: FlagValues<typeof flags>): TokenWish {
  const { owner, uses, provider } = values;
  if (owner === undefined) throw new UserError('BAD_ARGUMENT', 'potluck token create: --owner is missing', 'For example --owner alan');
  if (!/^[1-9]\d{0,2}$/.test(uses)) {
    throw new UserError('BAD_ARGUMENT', `--uses ${JSON.stringify(uses.slice(0, 60))} is no number of machines`, 'It is from 1 to 999');
  }
  return {
    owner,
    ttlMs: parseDuration('ttl', values.ttl, longestTtlMs),
    uses: Number(uses),
    ...(provider === undefined ? {} : { providerName: provider }),
    approval: values['approve-by-hand'] ? 'Manual' : 'Automatic',
  };
}

/** Two tokens with one id are as likely as never; asking again costs nothing. */
export async function createToken(client: Client, wish: TokenWish, signal?: AbortSignal): Promise<NewToken> {
  for (let attempt = 1; ; attempt += 1) {
    const made = newToken(wish, Date.now());
    try {
      await client.create(joinTokens, made.object, signal === undefined ? {} : { signal });
      return made;
    } catch (error) {
      if (!isAlreadyExists(error) || attempt >= attempts) throw error;
    }
  }
}
