import { findCondition } from '../../api/conditions.ts';
import { UserError } from '../../api/errors.ts';
import type { Member } from '../../api/generated/member.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import { apiVersionOf, members } from '../../api/resource-type.ts';
import { isAlreadyExists } from '../../client/client.ts';
import type { Client } from '../../client/client.ts';
import { defineCommand, type FlagValues } from '../command-line/command.ts';
import { outputFlag } from '../command-line/output-flag.ts';
import { untilTrue } from '../until-true.ts';
import { clientFlags, withClient } from '../with-client.ts';
import { createMemberToken, formatNewToken, readTokenOptions, sayNewToken, tokenFlags } from './member-token.ts';
import { readSshKeys } from './read-ssh-keys.ts';

const flags = {
  'ssh-key': { type: 'list', value: 'FILE', description: 'public key: a file, - for standard input, or the key itself; may be repeated' },
  'display-name': { type: 'string', value: 'NAME', description: 'the name that people read' },
  email: { type: 'string', value: 'ADDRESS', description: 'where the member is reached' },
  permissions: { type: 'string', value: 'LIST', default: 'use,lend', description: 'what they may do, of use, lend and admin' },
  ...tokenFlags,
  ...clientFlags,
  output: outputFlag,
} as const;

const permissions = { use: 'Use', lend: 'Lend', admin: 'Admin' } as const;
const readyTimeoutMs = 30_000;

export const memberAddCommand = defineCommand({
  name: 'member add',
  summary: 'makes a member, and prints a kubeconfig for them',
  details:
    'The kubeconfig has a token that expires; whoever has it is the member. Give it to them in a way that others cannot read, for example: potluck member add toto > toto.kubeconfig',
  flags,
  arguments: [{ name: 'NAME', description: "the member's name, and their namespace's" }],
  run: async (values, [name = '']) =>
    withClient(values, async ({ client, kubeconfig }) => {
      const tokenOptions = await readTokenOptions(values, kubeconfig);
      const wanted = memberOf(name, values, await readSshKeys(values['ssh-key'], process.stdin));
      const member = await createMember(client, wanted);
      await untilReady(client, member);
      const token = await createMemberToken(client, member, tokenOptions);
      process.stderr.write(sayNewToken(token));
      process.stdout.write(formatNewToken(token, values.output));
      return 0;
    }),
});

function memberOf(name: string, values: FlagValues<typeof flags>, sshKeys: string[]): Member {
  const displayName = values['display-name'];
  const { email } = values;
  return {
    apiVersion: apiVersionOf(members),
    kind: members.kind,
    metadata: { name },
    spec: {
      ...(displayName === undefined ? {} : { displayName }),
      ...(email === undefined ? {} : { email }),
      ...(sshKeys.length === 0 ? {} : { sshKeys }),
      permissions: readPermissions(values.permissions),
    },
  };
}

function readPermissions(text: string): ('Use' | 'Lend' | 'Admin')[] {
  const words = text.split(',').map((word) => word.trim().toLowerCase());
  const known = words.filter((word) => word !== '');
  const wrong = known.find((word) => !Object.hasOwn(permissions, word));
  if (wrong === undefined) return [...new Set(known.map((word) => permissions[word as keyof typeof permissions]))];
  const what = `--permissions has ${JSON.stringify(wrong.slice(0, 40))}, which is none`;
  throw new UserError('BAD_ARGUMENT', what, `It is a list of ${Object.keys(permissions).join(', ')}; "" permits nothing`);
}

async function createMember(client: Client, member: Member): Promise<Member> {
  try {
    return await client.create(members, member);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const { name = '' } = member.metadata;
    const remedy = `potluck member token create ${name} makes another kubeconfig, kubectl edit member ${name} changes them`;
    throw new UserError('BAD_ARGUMENT', `there is a member ${name} already`, remedy, { cause: error });
  }
}

/** Throws UserError at once for what does not heal by itself. */
async function untilReady(client: Client, { metadata: { name = '', generation = 0 } }: Member): Promise<void> {
  let stopped: UserError | undefined;
  const check = async (signal: AbortSignal): Promise<boolean> => {
    const { status } = await client.get(members, { name }, { signal });
    const ready = findCondition(status?.conditions, conditionTypes.ready);
    if (ready === undefined || (status?.observedGeneration ?? 0) < generation) return false;
    if (ready.status === 'True') return true;
    if (ready.reason === reasons.namespaceTaken || ready.reason === reasons.quotaRefused) {
      const remedy = `Set it right, then potluck member token create ${name}; or potluck member delete ${name}`;
      stopped = new UserError('API_REFUSED', `the member ${name} was made, but ${ready.message}`, remedy);
    }
    return stopped !== undefined;
  };
  const what = `the controller to make the member ${name} ready`;
  await untilTrue(check, { what, timeoutMs: readyTimeoutMs, signal: new AbortController().signal });
  if (stopped !== undefined) throw stopped;
}
