import { join } from 'node:path';

/** Where things are under the home of a pool; docs/architecture.md lists them. */
export interface PoolPaths {
  home: string;
  /** The admin's. */
  kubeconfig: string;
  pki: string;
  etcd: string;
  agent: string;
  agentKubeconfig: string;
  engine: string;
  /** Of the pool's own engine. */
  engineSocket: string;
  images: string;
  logs: string;
  run: string;
}

export function poolPaths(home: string): PoolPaths {
  return {
    home,
    kubeconfig: join(home, 'kubeconfig'),
    pki: join(home, 'pki'),
    etcd: join(home, 'etcd'),
    agent: join(home, 'agent'),
    agentKubeconfig: join(home, 'agent/kubeconfig'),
    engine: join(home, 'engine'),
    engineSocket: join(home, 'engine/docker.sock'),
    images: join(home, 'images'),
    logs: join(home, 'logs'),
    run: join(home, 'run'),
  };
}
