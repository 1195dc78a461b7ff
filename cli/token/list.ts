import type { JoinToken } from '../../api/generated/join-token.ts';
import { humanDuration } from '../../api/human-duration.ts';
import { memberNamespace } from '../../api/names.ts';
import { joinTokens } from '../../api/resource-type.ts';
import { parseTime } from '../../api/time.ts';
import { ApiError } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { defineCommand } from '../command-line/command.ts';
import { formatTable } from '../command-line/format-table.ts';
import { outputFlag } from '../command-line/output-flag.ts';
import { clientFlags, withClient } from '../with-client.ts';

export const tokenListCommand = defineCommand({
  name: 'token list',
  summary: 'shows the join tokens that you may see, and who joined by them',
  details: 'Members see their own. The secret of a token cannot be shown: nobody has it but whoever made it.',
  flags: { output: outputFlag, ...clientFlags },
  run: async (values) => {
    const tokens = await withClient(values, ({ client }) => listTokens(client));
    const nowMs = Date.now();
    if (values.output === 'json') {
      process.stdout.write(`${JSON.stringify(tokens.map(summaryOf), null, 2)}\n`);
    } else {
      process.stdout.write(`${tokens.length === 0 ? 'No join tokens.' : formatTokens(tokens, nowMs)}\n`);
    }
    return 0;
  },
});

/** All; or, for a member, their own, which must be asked for as such. */
async function listTokens(client: Client): Promise<JoinToken[]> {
  try {
    return (await client.list(joinTokens)).items;
  } catch (error) {
    const member = error instanceof ApiError && error.code === 403 ? await readMemberName(client) : undefined;
    if (member === undefined) throw error;
    return (await client.list(joinTokens, { fieldSelector: `spec.owner=${member}` })).items;
  }
}

async function readMemberName(client: Client): Promise<string | undefined> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = (await client.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review)) as {
    status?: { userInfo?: { username?: string } };
  };
  const prefix = `system:serviceaccount:${memberNamespace}:`;
  const username = answer.status?.userInfo?.username ?? '';
  return username.startsWith(prefix) ? username.slice(prefix.length) : undefined;
}

interface TokenSummary {
  id: string;
  owner: string;
  providerName?: string;
  uses: number;
  /** The machines that joined by it. */
  joined: string[];
  expirationTimestamp: string;
}

function summaryOf({ metadata, spec, status }: JoinToken): TokenSummary {
  return {
    id: metadata.name ?? '',
    owner: spec.owner,
    ...(spec.providerName === undefined ? {} : { providerName: spec.providerName }),
    uses: spec.uses ?? 1,
    joined: (status?.claims ?? []).flatMap(({ providerName }) => (providerName === undefined ? [] : [providerName])),
    expirationTimestamp: spec.expirationTimestamp,
  };
}

/** Pure. */
export function formatTokens(tokens: readonly JoinToken[], nowMs: number): string {
  const rows = tokens.map((token) => {
    const { id, owner, providerName, uses, joined, expirationTimestamp } = summaryOf(token);
    const leftMs = (parseTime(expirationTimestamp) ?? 0) - nowMs;
    const used = `${token.status?.claims?.length ?? 0}/${uses}`;
    return [id, owner, providerName ?? '<any>', used, joined.join(',') || '<none>', leftMs <= 0 ? 'over' : humanDuration(leftMs)];
  });
  return formatTable(['ID', 'OWNER', 'PROVIDER', 'USES', 'JOINED', 'EXPIRES IN'], rows);
}
