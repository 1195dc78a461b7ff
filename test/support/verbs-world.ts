/** What kubectl's verbs go through, whole: a real API server, a real gateway, an agent, and a real dockerd with an instance or two. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Instance } from '../../api/generated/instance.ts';
import { providers } from '../../api/resource-type.ts';
import { silentLogger, type Logger } from '../../runtime/logger.ts';
import type { KubectlResult, TestApiServer, TestApiServerOptions } from './api-server.ts';
import { runKubectl, startTestApiServer } from './api-server.ts';
import { BoundAgent } from './bound-agent.ts';
import type { TestDockerd } from './dockerd.ts';
import { startTestDockerd } from './dockerd.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { importTestImage, testImage } from './image.ts';
import type { TestGateway } from './test-gateway.ts';
import { startTestGateway } from './test-gateway.ts';

export interface VerbsWorldOptions extends Pick<TestApiServerOptions, 'audit'> {
  /** Of the gateway. */
  logger?: Logger;
}

export class VerbsWorld {
  readonly api: TestApiServer;
  readonly gateway: TestGateway;
  readonly dockerd: TestDockerd;
  readonly agent: BoundAgent;

  private constructor(parts: Pick<VerbsWorld, 'api' | 'gateway' | 'dockerd' | 'agent'>) {
    this.api = parts.api;
    this.gateway = parts.gateway;
    this.dockerd = parts.dockerd;
    this.agent = parts.agent;
  }

  static async start({ logger = silentLogger, ...options }: VerbsWorldOptions = {}): Promise<VerbsWorld> {
    const port = await freePort();
    const streamBackends = new Map([['gateway', new URL(`https://127.0.0.1:${port}`)]]);
    const [api, dockerd] = await Promise.all([startTestApiServer({ ...options, streamBackends }), startTestDockerd()]);
    await importTestImage(dockerd.socketPath);
    const gateway = await startTestGateway(api, 'one', {}, { port, log: logger });
    const agent = await BoundAgent.start(api, 'desktop', {
      engine: { kind: 'socket', socketPath: dockerd.socketPath },
      usageIntervalMs: 1_000,
    });
    await eventually(async () => assert.ok((await agent.admin.get(providers, { name: 'desktop' })).status?.tunnel?.connectedAt), {
      timeoutMs: 15_000,
      what: 'the provider to be connected',
    });
    return new VerbsWorld({ api, gateway, dockerd, agent });
  }

  /** Bound, and running. */
  async run(name: string, command: string, spec: Partial<Instance['spec']> = {}): Promise<Instance> {
    await this.agent.create(name, { image: testImage, command: ['sh', '-c', command], ...spec });
    await this.agent.bind(name, 1);
    return this.agent.until(name, ({ phase }) => assert.equal(phase, 'Running'));
  }

  kubectl(kubectl: string, args: readonly string[], input?: string): Promise<KubectlResult> {
    return runKubectl({ kubectl, home: this.api.home, kubeconfigPath: this.api.kubeconfigPath }, args, input);
  }

  /** Ends it if it still runs. */
  static async end(child: ChildProcessWithoutNullStreams): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** One that goes on; the caller ends it. */
  spawn(command: string, args: readonly string[]): ChildProcessWithoutNullStreams {
    const env = {
      PATH: process.env['PATH'],
      HOME: this.api.home,
      KUBECACHEDIR: join(this.api.home, 'kube-cache'),
      KUBECONFIG: this.api.kubeconfigPath,
    };
    const child = spawn(command, args, { env });
    child.stdin.on('error', () => undefined);
    return child;
  }

  async stop(): Promise<void> {
    await this.agent.stop();
    await this.gateway.stop();
    await this.dockerd.stop();
    await this.api.stop();
  }
}
