/** What is in the toolbox: which programs of which Debian packages, and the scripts of ours beside them. Pure. */

/** Where an instance sees it; `current` leads to the newest. */
export const toolboxMount = '/.potluck';
export const toolboxRoot = `${toolboxMount}/current`;
/** Where an instance sees what is its own. */
export const instanceMount = '/.potluck-instance';

/** Changes with what `buildToolbox()` makes of the same packages. */
export const toolboxRevision = 1;

export interface ToolboxProgram {
  /** In `bin/`. */
  name: string;
  /** Where packages have it; the first that is there counts. */
  paths: readonly string[];
  /** Not every release of the package has it. */
  optional?: boolean;
}

export const packages = ['openssh-server', 'openssh-client', 'rsync', 'tmux', 'libnss-wrapper', 'busybox-static'] as const;
/** Not followed from one package to those that it needs: what they bring is not for programs of the toolbox. */
export const plainPackages: readonly string[] = ['libc-bin', 'ncurses-base'];

export const programs: readonly ToolboxProgram[] = [
  { name: 'busybox', paths: ['usr/bin/busybox', 'bin/busybox'] },
  { name: 'sshd', paths: ['usr/sbin/sshd'] },
  // From OpenSSH 9.8 on, and 9.9, sshd is in parts.
  { name: 'sshd-session', paths: ['usr/lib/openssh/sshd-session'], optional: true },
  { name: 'sshd-auth', paths: ['usr/lib/openssh/sshd-auth'], optional: true },
  { name: 'scp', paths: ['usr/bin/scp'] },
  { name: 'rsync', paths: ['usr/bin/rsync'] },
  { name: 'tmux', paths: ['usr/bin/tmux'] },
];

/** Loaded by no program's own wish. */
export const preloadedLibrary = 'libnss_wrapper.so';
/** Of the locale that tmux needs. */
export const localeFile = 'locale/C.utf8/LC_CTYPE';
/** Of terminals, for tmux. */
export const terminals = [
  'xterm',
  'xterm-256color',
  'screen',
  'screen-256color',
  'tmux',
  'tmux-256color',
  'linux',
  'vt100',
  'vt220',
  'ansi',
  'dumb',
  'rxvt',
];

const shebang = `#!${toolboxRoot}/bin/busybox sh\n`;

/** A program of the toolbox under its loader, in any image: `wrap/<name>`. Who runs it may be nobody that the image knows. */
export function wrapper(name: string): string {
  const accounts = `export NSS_WRAPPER_PASSWD=${instanceMount}/passwd NSS_WRAPPER_GROUP=${instanceMount}/group\n`;
  const run = `exec ${toolboxRoot}/ld.so --library-path ${toolboxRoot}/lib --preload ${toolboxRoot}/lib/${preloadedLibrary} --argv0 ${name}`;
  return `${shebang}${accounts}${name === 'tmux' ? tmuxEnvironment : ''}${run} ${toolboxRoot}/bin/${name} "$@"\n`;
}

/** tmux looks for its terminals where an image may have none, and asks the locale whether it may write UTF-8. */
const tmuxEnvironment = `export TERMINFO_DIRS="/etc/terminfo:/lib/terminfo:/usr/share/terminfo:${toolboxRoot}/terminfo"
[ -d /usr/lib/locale ] || export LOCPATH=${toolboxRoot}/locale
`;

/** Gives images without a shell one: `wrap/sh`. */
export const shellScript = `${shebang}exec ${toolboxRoot}/bin/busybox sh "$@"\n`;

/**
 * The login shell of whoever the instance runs as. It greets where somebody sits at a terminal and asked for no command, and is then
 * replaced by the real shell, called as a login shell is (`-bash`); commands go to the real shell as they are.
 */
export const loginScript = `${shebang}read -r SHELL < ${instanceMount}/shell
export SHELL
if [ $# -gt 0 ]; then exec "$SHELL" "$@"; fi
if [ -t 0 ] && [ -t 1 ]; then ${toolboxRoot}/bin/busybox cat ${instanceMount}/greeting; fi
case $SHELL in ${toolboxRoot}/*) exec "$SHELL" -l ;; esac
exec -a "-\${SHELL##*/}" "$SHELL"
`;

/**
 * Starts sshd on standard input and output. First it says on standard error what the image is like, then waits for one line: until then
 * nothing of the client's is read, and no process is there but this one, which sshd then is.
 */
export const startScript = `B=${toolboxRoot}/bin/busybox
uid=$($B id -u)
home= shell= name=
if [ -r /etc/passwd ]; then
  while IFS=: read -r n x u g gecos h s; do
    [ "$u" = "$uid" ] || continue
    name=$n home=$h
    case $s in */nologin | */false) ;; *) [ -f "$s" ] && [ -x "$s" ] && shell=$s ;; esac
    break
  done < /etc/passwd
fi
[ -n "$home" ] && [ -d "$home" ] && [ -x "$home" ] || home=
[ -n "$shell" ] || for s in /bin/bash /bin/ash /bin/sh; do
  if [ -f $s ] && [ -x $s ]; then shell=$s; break; fi
done
{
  echo "uid $uid"
  echo "gid $($B id -g)"
  echo "name $name"
  echo "home $home"
  echo "shell $shell"
  if [ -d /tmp ] && [ -w /tmp ]; then echo "temporary yes"; else echo "temporary no"; fi
  echo "passwd $($B head -c 65536 /etc/passwd 2> /dev/null | $B base64 -w 0)"
  echo "group $($B head -c 65536 /etc/group 2> /dev/null | $B base64 -w 0)"
  echo "environment $($B head -c 131072 /proc/self/environ 2> /dev/null | $B base64 -w 0)"
  echo ready
} >&2
read -r go || exit 1
[ "$go" = go ] || exit 1
parts=
for part in session auth; do
  name=Sshd$([ $part = session ] && echo Session || echo Auth)Path
  [ -x ${toolboxRoot}/wrap/sshd-$part ] && parts="$parts -o $name=${toolboxRoot}/wrap/sshd-$part"
done
exec $B env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LD_LIBRARY_PATH=${toolboxRoot}/lib LD_PRELOAD=${toolboxRoot}/lib/${preloadedLibrary} \\
  NSS_WRAPPER_PASSWD=${instanceMount}/passwd NSS_WRAPPER_GROUP=${instanceMount}/group NSS_WRAPPER_SHADOW=${instanceMount}/shadow \\
  ${toolboxRoot}/ld.so --library-path ${toolboxRoot}/lib ${toolboxRoot}/bin/sshd -i -E /proc/self/fd/2 $parts -f ${instanceMount}/sshd_config
`;
