/** The configuration of the sshd of an instance. Pure. */
import { instanceMount, toolboxRoot } from '../toolbox/toolbox-contents.ts';
import { commonLogin } from './account-files.ts';
import type { ImageFacts } from './image-facts.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What sshd itself sets, and what belongs to the process that said it. */
const notPassedOn = /^(HOME|USER|LOGNAME|SHELL|MAIL|TERM|HOSTNAME|PWD|OLDPWD|SHLVL|_|SSH_.*|LD_PRELOAD|LD_LIBRARY_PATH|NSS_WRAPPER_.*)$/;

export function sshdConfig(facts: ImageFacts): string {
  const variables = environment(facts);
  const name = facts.name ?? (facts.uid === 0 ? 'root' : commonLogin);
  return `${fixed}${setEnv(variables)}Match User ${commonLogin}
  ${setEnv([...variables, `USER=${name}`, `LOGNAME=${name}`])}`;
}

const fixed = `HostKey ${instanceMount}/host_key
AuthorizedKeysFile ${instanceMount}/authorized_keys
StrictModes no
UsePAM no
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
LoginGraceTime 30
MaxAuthTries 6
AllowAgentForwarding yes
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
GatewayPorts no
X11Forwarding no
PermitTunnel no
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
ClientAliveInterval 30
ClientAliveCountMax 3
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
`;

/** What the container was given is there in a session too; programs of the toolbox come after the image's own. */
function environment({ environment: given, shell }: ImageFacts): string[] {
  const passed = given.filter((entry) => {
    const name = entry.split('=', 1)[0] ?? '';
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== 'PATH' && !notPassedOn.test(name) && !/[\n\r]/.test(entry);
  });
  const path = given.find((entry) => /^PATH=[^\n\r]+$/.test(entry))?.slice(5) ?? defaultPath;
  // An image without a shell has none of the ordinary programs either.
  const tools = [`${toolboxRoot}/wrap`, ...(shell === undefined ? [`${toolboxRoot}/applets`] : [])];
  return [`PATH=${[path, ...tools].join(':')}`, ...passed];
}

/** sshd takes the first such line only. */
function setEnv(variables: readonly string[]): string {
  return `SetEnv ${variables.map((variable) => `"${variable.replace(/["\\]/g, '\\$&')}"`).join(' ')}\n`;
}
