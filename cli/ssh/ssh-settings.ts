/** What OpenSSH needs to know to reach instances: one file of settings and one of known hosts. Pure. */
import type { Gateway } from '../../api/generated/gateway.ts';
import type { Instance } from '../../api/generated/instance.ts';

export interface SshSettings {
  /** Lines of a file for `Include`. */
  config: string;
  knownHosts: string;
}

export interface SshSettingsInput {
  gateways: readonly Gateway[];
  instances: readonly Instance[];
  /** Of the user: instances in it go by their bare names too. */
  namespace: string | undefined;
  /** Absolute path of the file of known hosts. */
  knownHostsFile: string;
}

const jumpHost = 'potluck-jump';
/** Whoever an image runs as. */
const login = 'potluck';

/** Those that processors do by themselves first: everything is enciphered twice on the client, and once in the jump host. */
const ciphers = 'aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com';

/** Undefined where no gateway has a jump host. */
export function sshSettings({ gateways, instances, namespace, knownHostsFile }: SshSettingsInput): SshSettings | undefined {
  const ssh = gateways.flatMap(({ metadata, spec }) => (spec.ssh === undefined ? [] : [{ name: metadata.name ?? '', ...spec.ssh }]))[0];
  if (ssh === undefined) return undefined;
  const known = instances.filter(({ status }) => status?.ssh?.hostKey !== undefined);
  const taken = new Set<string>([jumpHost]);
  const hosts = [...known]
    .sort((one, other) => addressOf(one).localeCompare(addressOf(other)))
    .map((instance) => hostBlock(instance, namespace, taken));
  const common = [`  UserKnownHostsFile ${quoted(knownHostsFile)}`, '  GlobalKnownHostsFile /dev/null', `  Ciphers ${ciphers}`];
  const jump = [
    `Host ${jumpHost}`,
    `  HostName ${ssh.host}`,
    `  Port ${ssh.port}`,
    `  User ${login}`,
    `  HostKeyAlias ${jumpHost}`,
    '  StrictHostKeyChecking yes',
    ...common,
  ];
  // Instances that were made since, and others' that let one in.
  const others = [
    'Host *.potluck',
    `  User ${login}`,
    `  ProxyJump ${jumpHost}`,
    '  StrictHostKeyChecking accept-new',
    '  ServerAliveInterval 15',
    '  ServerAliveCountMax 3',
    ...common,
  ];
  const blocks = [
    ['# Written by potluck ssh-config, which writes it anew; what is changed here is lost.'],
    jump,
    ...hosts.map((lines) => [...lines, ...common]),
    others,
  ];
  return {
    config: `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`,
    knownHosts: [
      `${jumpHost} ${ssh.hostKey}`,
      ...known.map((instance) => `${instance.metadata.uid ?? ''} ${instance.status?.ssh?.hostKey ?? ''}`),
    ]
      .map((line) => `${line}\n`)
      .join(''),
  };
}

/** The name by which the jump host knows it. */
export function addressOf({ metadata }: Instance): string {
  return `${metadata.name ?? ''}.${metadata.namespace ?? ''}.potluck`;
}

function hostBlock(instance: Instance, namespace: string | undefined, taken: Set<string>): string[] {
  const { metadata, status } = instance;
  const wanted = [addressOf(instance), status?.hostname, metadata.namespace === namespace ? metadata.name : undefined];
  const names = wanted.filter((name): name is string => name !== undefined && name !== '' && !taken.has(name));
  for (const name of names) taken.add(name);
  return [
    `Host ${names.join(' ')}`,
    `  HostName ${addressOf(instance)}`,
    `  HostKeyAlias ${metadata.uid ?? ''}`,
    `  User ${login}`,
    `  ProxyJump ${jumpHost}`,
    '  StrictHostKeyChecking yes',
    '  ServerAliveInterval 15',
    '  ServerAliveCountMax 3',
  ];
}

/** Of a path; OpenSSH expands percent signs in it. */
export function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}
