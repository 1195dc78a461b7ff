/** Where the pool's own engine keeps its things, and what they are called. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

export interface PoolPaths {
  /** Short and unique for each `$POTLUCK_HOME` of a machine: several can be used side by side. */
  id: string;
  directory: string;
  socket: string;
  containerdSocket: string;
  execRoot: string;
  /** A file of the size that instances may use together, with a btrfs in it. */
  loopFile: string;
  /** Where it is mounted. */
  loopMount: string;
  /** Used instead where there is no btrfs. */
  plainData: string;
  /** A file on which the network namespace is mounted. */
  namespace: string;
  /** Where its mount namespace is kept: a folder with one file. */
  mounts: string;
  mountNamespace: string;
  /** As `/etc/subuid` and `/etc/resolv.conf` are in there. */
  idFile: string;
  resolvConf: string;
  /** Of each container that was started, its port on the bridge. */
  ports: string;
  /** Of each container, how its traffic is shaped. */
  bandwidth: string;
  /** What must be undone. */
  state: string;
  log(name: string): string;
  pidFile(name: string): string;
  config(name: string): string;
  hostInterface: string;
  nftTable: string;
  cgroup: string;
}

export function poolPaths(home: string): PoolPaths {
  const id = createHash('sha256').update(home).digest('hex').slice(0, 8);
  const directory = join(home, 'engine');
  return {
    id,
    directory,
    socket: join(directory, 'docker.sock'),
    containerdSocket: join(directory, 'containerd.sock'),
    execRoot: join(directory, 'exec'),
    loopFile: join(directory, 'data.btrfs'),
    loopMount: join(directory, 'data'),
    plainData: join(directory, 'data-plain'),
    namespace: join(directory, 'netns'),
    mounts: join(directory, 'mounts'),
    mountNamespace: join(directory, 'mounts', 'ns'),
    idFile: join(directory, 'subuid'),
    resolvConf: join(directory, 'resolv.conf'),
    ports: join(directory, 'ports'),
    bandwidth: join(directory, 'bandwidth'),
    state: join(directory, 'network.json'),
    log: (name) => join(home, 'logs', `${name}.log`),
    pidFile: (name) => join(directory, `${name}.pid.json`),
    config: (name) => join(directory, name),
    // At most 15 characters.
    hostInterface: `plk-${id}`,
    nftTable: `potluck_${id}`,
    cgroup: `potluck-${id}`,
  };
}
