import { findCondition } from '../../api/conditions.ts';
import type { Member } from '../../api/generated/member.ts';
import { conditionTypes } from '../../api/reasons.ts';
import { members } from '../../api/resource-type.ts';
import { defineCommand } from '../command-line/command.ts';
import { formatTable } from '../command-line/format-table.ts';
import { outputFlag } from '../command-line/output-flag.ts';
import { clientFlags, withClient } from '../with-client.ts';

interface MemberRow {
  name: string;
  displayName: string;
  email: string;
  permissions: readonly string[];
  ready: string;
  namespace: string;
  /** Fingerprints. */
  sshKeys: readonly string[];
  /** Why they are not ready; empty when they are. */
  message: string;
}

export const memberListCommand = defineCommand({
  name: 'member list',
  summary: 'shows the members of the pool',
  flags: { ...clientFlags, output: outputFlag },
  run: async (values) =>
    withClient(values, async ({ client }) => {
      const rows = (await client.list(members)).items.map(memberRow);
      const text = rows.length === 0 ? 'No members.' : formatMembers(rows);
      process.stdout.write(`${values.output === 'json' ? JSON.stringify(rows, null, 2) : text}\n`);
      return 0;
    }),
});

function memberRow({ metadata: { name = '' }, spec, status }: Member): MemberRow {
  const { displayName = '', email = '', permissions = [] } = spec;
  const { namespace = '', sshKeys = [], conditions } = status ?? {};
  const { status: ready, message = '' } = findCondition(conditions, conditionTypes.ready) ?? { status: 'Unknown' as const };
  return {
    name,
    displayName,
    email,
    permissions,
    ready,
    namespace,
    sshKeys: sshKeys.map(({ fingerprint }) => fingerprint),
    message: ready === 'True' ? '' : message,
  };
}

function formatMembers(rows: readonly MemberRow[]): string {
  const cells = rows.map(({ name, displayName, permissions, ready, sshKeys, message }) => [
    name,
    displayName,
    permissions.join(','),
    ready,
    String(sshKeys.length),
    message,
  ]);
  return formatTable(['MEMBER', 'NAME', 'PERMISSIONS', 'READY', 'KEYS', 'MESSAGE'], cells);
}
