/** The accounts that sshd sees in an instance: the image's, and the name by which everybody may come in as whom the image runs as. Pure. */
import { toolboxRoot } from '../toolbox/toolbox-contents.ts';
import { isAccountName } from './image-facts.ts';
import type { ImageFacts } from './image-facts.ts';

/** In every instance: whoever the image runs as. */
export const commonLogin = 'potluck';
const loginShell = `${toolboxRoot}/wrap/login`;
const plainShell = `${toolboxRoot}/wrap/sh`;
/** Of sshd itself, which shuts what is not authenticated in as nobody. */
const separation = { name: 'sshd', line: 'sshd:*:65533:65533::/run/sshd:/bin/false' };
/** The group that terminals are given to. */
const terminalGroup = 'tty:x:5:';
const mostAccounts = 1_000;

export interface AccountFiles {
  passwd: string;
  group: string;
  shadow: string;
  /** One line: what the login shell becomes. */
  shell: string;
}

export function accountFiles(facts: ImageFacts): AccountFiles {
  const { uid, gid, name = uid === 0 ? 'root' : commonLogin, home = '/' } = facts;
  const own = [name, '*', uid, gid, '', home, loginShell].join(':');
  // Only root can become somebody else.
  const others = uid === 0 ? otherAccounts(facts.passwd, new Set([name, separation.name])) : [];
  const known = new Set([name, ...others.map(nameOf)]);
  const common = known.has(commonLogin) ? [] : [[commonLogin, '*', uid, gid, '', home, loginShell].join(':')];
  const passwd = [own, ...common, ...others, separation.line];
  return {
    passwd: lines(passwd),
    group: lines(groups(facts)),
    // An image may lock its accounts by their password, which nobody is asked for here.
    shadow: lines(passwd.map((line) => `${nameOf(line)}:*:::::::`)),
    shell: `${facts.shell ?? plainShell}\n`,
  };
}

/** Well-formed lines, each name once. */
function otherAccounts(passwd: string, taken: ReadonlySet<string>): string[] {
  const seen = new Set(taken);
  return passwd
    .split('\n')
    .filter((line) => {
      const fields = line.split(':');
      if (fields.length !== 7 || !isAccountName(nameOf(line)) || seen.has(nameOf(line))) return false;
      seen.add(nameOf(line));
      return /^\d+$/.test(fields[2] ?? '') && /^\d+$/.test(fields[3] ?? '');
    })
    .slice(0, mostAccounts)
    .map((line) => line.replace(/^([^:]*):[^:]*:/, '$1:*:'));
}

function groups({ gid, group }: ImageFacts): string[] {
  const known = group
    .split('\n')
    .filter((line) => line.split(':').length === 4 && isAccountName(nameOf(line)) && /^[^:]*:[^:]*:\d+:/.test(line))
    .slice(0, mostAccounts);
  const has = (id: number): boolean => known.some((line) => Number(line.split(':')[2]) === id);
  const hasTerminals = known.some((line) => nameOf(line) === 'tty');
  return [...known, ...(hasTerminals ? [] : [terminalGroup]), ...(has(gid) ? [] : [`${commonLogin}:x:${gid}:`])];
}

function nameOf(line: string): string {
  return line.split(':', 1)[0] ?? '';
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
