/**
 * The runtime that the pool's dockerd knows: runc behind a few lines of shell, that let no container's first process run before the
 * container's bandwidth limits stand and its port on the bridge is open. At that moment its network is whole and nothing of it has run, whoever
 * starts it: the agent, dockerd by itself, or the owner by hand. What does not work keeps the container from starting.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mostBytesAtOnce } from '../limits/bandwidth/shape-commands.ts';
import { defaultShape } from '../limits/bandwidth/pool-bandwidth.ts';
import type { PoolPaths } from './pool-paths.ts';
import { runCommand } from './run-command.ts';
import { portSet } from './walls/wall-rules.ts';
import { readPorts } from './walls/ports.ts';

/** What dockerd calls it. */
export const guardedRuntime = 'guarded-runc';

/**
 * Called as runc is, `guard --root R --log L … start ID`, or as `guard admit ID PID` for a container that runs already. The last line of the
 * log is what Docker says when a start fails.
 */
function script(paths: PoolPaths, runtime: string): string {
  return `#!/bin/sh
# Made by potluck: ${runtime}, but no container starts before its limits and walls stand.
engine=${quoted(paths.directory)}
root=/run/${runtime} log= before= verb= id= pid=

fail() {
  [ -z "$log" ] || printf '{"level":"error","msg":"potluck: %s"}\\n' "$1" >>"$log"
  rm -f "$engine/ports.$$"
  echo "potluck: $1" >&2
  exit 1
}

find_pid() {
  state=
  [ ! -e "$root/$id/state.json" ] || IFS= read -r state <"$root/$id/state.json" || :
  case $state in *'"init_process_pid":'*) pid=\${state#*'"init_process_pid":'} pid=\${pid%%[!0-9]*} ;; esac
  [ -n "$pid" ] || pid=$(${runtime} --root "$root" state "$id" | sed -n 's/.*"pid": *\\([0-9][0-9]*\\).*/\\1/p')
  [ -n "$pid" ] || fail 'the container has no process'
}

has_link() {
  while read -r name _; do
    case $name in eth0:*) return 0 ;; esac
  done <"/proc/$pid/net/dev"
  return 1
}

read_link() {
  net=/proc/$pid/ns/net
  printf '%s\\n' 'address show dev eth0' 'link set eth0 gso_max_size ${mostBytesAtOnce}' |
    nsenter --net="$net" ip -batch - >"$engine/ports.$$" || fail 'the network of the container cannot be read'
  while read -r first second _; do
    case $first in
    [0-9]*) index=\${second#*@if} index=\${index%:} ;;
    link/ether) mac=$second ;;
    inet) address=\${second%%/*} ;;
    esac
  done <"$engine/ports.$$"
}

admit() {
  index= mac= address=
  [ ! "/proc/$pid/ns/net" -ef /proc/self/ns/net ] || fail 'a container in the network of the engine is not started'
  # A container without a network has nothing to shape.
  has_link || return 0
  read_link
  [ -n "$index" ] && [ -n "$mac" ] && [ -n "$address" ] || fail 'the network of the container cannot be read'
  third=\${address%.*} third=\${third##*.}
  minor=$(printf %x $((third % 8 * 256 + \${address##*.} + 16)))
  file=$engine/bandwidth/$id
  [ -e "$file" ] || file=$engine/bandwidth/${defaultShape}
  [ -e "$file" ] || fail 'its bandwidth limits are not known: the walls do not stand'
  . "$file"
  # Its first process does not run yet, so the order does not matter.
  printf %s "$shape" | tc -batch - >/dev/null &
  nft add element bridge ${paths.nftTable} ${portSet} "{ $index . $mac . $address }" || fail 'its port cannot be opened: the walls do not stand'
  wait $! || fail 'its bandwidth limits cannot be put in place'
  echo "$index $mac $address" >"$engine/ports.$$"
  mv "$engine/ports.$$" "$engine/ports/$id"
}

if [ "$1" = admit ]; then
  id=$2 pid=$3
  admit
  exit 0
fi
for word in "$@"; do
  case $before in --root) root=$word ;; --log) log=$word ;; esac
  before=$word verb=$id id=$word
done
if [ "$verb" = start ]; then
  find_pid
  admit
fi
exec ${runtime} "$@"
`;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Writes the guard of a runtime. Answers its path, for dockerd. */
export async function writeStartGuard(paths: PoolPaths, runtime = 'runc'): Promise<string> {
  const file = paths.config(`guarded-${runtime}`);
  await writeFile(file, script(paths, runtime), { mode: 0o700 });
  return file;
}

/** Opens the ports of containers that an engine without a guard started. */
export async function admitRunning(paths: PoolPaths): Promise<void> {
  const tasks = join(paths.execRoot, 'containerd', 'io.containerd.runtime.v2.task', 'moby');
  const known = new Set((await readPorts(paths.ports, paths.namespace)).map(({ containerId }) => containerId));
  for (const id of await readdir(tasks).catch(() => [])) {
    if (known.has(id)) continue;
    const pid = (await readFile(join(tasks, id, 'init.pid'), 'utf8').catch(() => '')).trim();
    if (pid !== '') await runCommand('nsenter', [`--net=${paths.namespace}`, paths.config(guardedRuntime), 'admit', id, pid]);
  }
}
