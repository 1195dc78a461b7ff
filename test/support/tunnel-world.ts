/**
 * Gateways and an agent as processes of their own, the agent in a namespace that can only dial out, over a real API server; and one more gateway in
 * the test itself that no agent can reach: what the test asks of it goes through the others.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import Docker from 'dockerode';
import type { Provider } from '../../api/generated/provider.ts';
import { providersGroup, providerUser } from '../../api/names.ts';
import { boundStatus } from '../../api/placement-status.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import type { Pki } from '../../apiserver/access/pki.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { startTestApiServer } from './api-server.ts';
import type { TestApiServer } from './api-server.ts';
import { makeDialOutNamespace } from './dial-out-namespace.ts';
import type { DialOutNamespace } from './dial-out-namespace.ts';
import { startTestDockerd } from './dockerd.ts';
import type { TestDockerd } from './dockerd.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { importTestImage, testImage } from './image.ts';
import { startPortServices } from './port-services.ts';
import { startPotluck } from './processes.ts';
import type { TestProcess } from './processes.ts';
import { startTestGateway } from './test-gateway.ts';
import type { TestGateway } from './test-gateway.ts';

export type Tunnel = NonNullable<NonNullable<Provider['status']>['tunnel']>;

export class TunnelWorld {
  readonly api: TestApiServer;
  readonly net: DialOutNamespace;
  readonly dockerd: TestDockerd;
  readonly admin: KubeClient;
  readonly pki: Pki;
  readonly gateways = new Map<string, TestProcess>();
  readonly #services: (() => Promise<void>)[] = [];
  readonly #ports = new Map<string, number>();
  #own: TestGateway | undefined;
  #agent: TestProcess | undefined;
  #provider: Provider | undefined;

  private constructor(parts: { api: TestApiServer; net: DialOutNamespace; dockerd: TestDockerd; pki: Pki }) {
    this.api = parts.api;
    this.net = parts.net;
    this.dockerd = parts.dockerd;
    this.pki = parts.pki;
    this.admin = createClient({ kubeconfig: parts.api.kubeconfigPath, userAgent: 'test' });
  }

  static async start(gateways: readonly string[]): Promise<TunnelWorld> {
    const net = await makeDialOutNamespace();
    const [api, dockerd] = await Promise.all([startTestApiServer({ host: '0.0.0.0' }), startTestDockerd()]);
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: ['127.0.0.1', net.address], now: Date.now });
    const world = new TunnelWorld({ api, net, dockerd, pki });
    try {
      await importTestImage(dockerd.socketPath);
      world.#own = await startTestGateway(api, 'of-the-test', { tunnelAddresses: [`${net.address}:9`] });
      for (const name of gateways) await world.startGateway(name);
      await world.#startAgent();
      await world.connected();
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  get provider(): Provider {
    if (this.#provider === undefined) throw new TypeError('there is no provider yet');
    return this.#provider;
  }

  get own(): TestGateway {
    if (this.#own === undefined) throw new TypeError('there is no gateway yet');
    return this.#own;
  }

  get agent(): TestProcess {
    if (this.#agent === undefined) throw new TypeError('there is no agent yet');
    return this.#agent;
  }

  address(gateway: string): string {
    return `${this.net.address}:${this.#ports.get(gateway) ?? 0}`;
  }

  async startGateway(name: string): Promise<TestProcess> {
    const port = await freePort();
    this.#ports.set(name, port);
    const flags = [
      '--components=gateway',
      '--home',
      this.api.home,
      '--gateway-name',
      name,
      '--gateway-listen',
      `${this.net.address}:${port}`,
    ];
    const gateway = await startPotluck(name, ['server', ...flags], this.log(name));
    this.gateways.set(name, gateway);
    await eventually(async () => assertReady(await readFile(this.log(name), 'utf8')), { timeoutMs: 20_000, what: `gateway ${name}` });
    return gateway;
  }

  log(name: string): string {
    return join(this.api.home, `${name}.log`);
  }

  /** Creates an instance, bound to the provider, waits until it runs, and serves what `port-services-process.ts` does in its network. */
  async run(name: string): Promise<void> {
    const key = { namespace: 'default', name };
    await this.admin.create(instances, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { ...key, finalizers: ['potluck.dev/container'] },
      spec: {
        image: testImage,
        command: ['sleep', '100000'],
        resources: { requests: { cpu: '250m', memory: '32Mi', disk: '64Mi' }, limits: { cpu: '1', memory: '128Mi', pids: '256' } },
      },
    });
    await this.bind(name, 1);
    await eventually(
      async () => {
        const { status } = await this.admin.get(instances, key);
        if (status?.phase !== 'Running') throw new Error(JSON.stringify(status));
      },
      { timeoutMs: 30_000, what: `${name} to run` },
    );
    this.#services.push(await startPortServices(`/proc/${await this.#pid(name)}/ns/net`));
  }

  async bind(name: string, epoch: number): Promise<void> {
    await updateStatus(this.admin, instances, { namespace: 'default', name }, (draft) => {
      const assignment = { providerName: 'laptop', providerUID: this.provider.metadata.uid ?? '', epoch };
      draft.status = boundStatus(draft, assignment, `tests-laptop-${name}`, Date.now());
    });
  }

  open(port: number, name = 'web', user = 'toto'): Promise<Duplex> {
    const sessionId = randomBytes(16).toString('hex');
    const instance = { namespace: 'default', name };
    return this.own.hub.open({ instance, kind: 'port', parameters: { port }, user, sessionId });
  }

  /** Output of a command of ours in the network of an instance. */
  async inInstance(name: string, command: string, ...args: string[]): Promise<string> {
    return runCommand('nsenter', [`--net=/proc/${await this.#pid(name)}/ns/net`, command, ...args]);
  }

  async #pid(name: string): Promise<number> {
    const { uid = '' } = (await this.admin.get(instances, { namespace: 'default', name })).metadata;
    const { State } = await new Docker({ socketPath: this.dockerd.socketPath }).getContainer(containerName(uid)).inspect();
    return State.Pid;
  }

  async tunnel(): Promise<Tunnel | undefined> {
    return (await this.admin.get(providers, { name: 'laptop' })).status?.tunnel;
  }

  /** With a session whose number is at least that. */
  connected(least = 1, timeoutMs = 20_000): Promise<Tunnel> {
    return eventually(
      async () => {
        const tunnel = await this.tunnel();
        if (tunnel?.connectedAt === undefined || tunnel.session < least) throw new Error(JSON.stringify(tunnel));
        return tunnel;
      },
      { timeoutMs, what: `session ${least} of the provider`, intervalMs: 50 },
    );
  }

  /** Of TCP connections of the agent's namespace to gateways that are established. */
  async connections(): Promise<number> {
    const lines = (await this.net.run('ss', '-Htn', 'state', 'established')).split('\n');
    const wanted = [...this.#ports.values()].map((port) => `:${port}`);
    return lines.filter((line) => wanted.some((port) => line.trimEnd().endsWith(port))).length;
  }

  async memoryBytes(child: TestProcess): Promise<number> {
    return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? Number.NaN) * 1024;
  }

  async stop(): Promise<void> {
    for (const stop of this.#services) await stop();
    await this.#agent?.stop();
    await this.#own?.stop();
    for (const gateway of this.gateways.values()) await gateway.stop();
    this.admin.close();
    await this.dockerd.stop();
    if (process.env['POTLUCK_TEST_LOG'] !== undefined) {
      for (const name of ['laptop', ...this.gateways.keys()]) process.stderr.write(await readFile(this.log(name), 'utf8').catch(() => ''));
    }
    await this.api.stop();
    await this.net.remove();
  }

  async #startAgent(): Promise<void> {
    this.#provider = await this.admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: 'laptop' },
      spec: { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } },
    });
    const user = providerUser(this.#provider.metadata.uid ?? '');
    const pair = await this.pki.issueClientCertificate({ commonName: user, organizations: [providersGroup], lifetimeMs: 86_400_000 });
    const home = join(this.api.home, 'laptop');
    const kubeconfig = join(this.api.home, 'laptop.kubeconfig');
    const server = `https://${this.net.address}:${new URL(this.api.url).port}`;
    await writeKubeconfig({ path: kubeconfig, server, caPem: this.pki.caPem, ...pair, user });
    const flags = ['--home', home, '--kubeconfig', kubeconfig, '--provider', 'laptop', '--engine', `unix://${this.dockerd.socketPath}`];
    const args = ['agent', ...flags, '--log-level', 'debug'];
    this.#agent = await startPotluck('laptop', args, this.log('laptop'), { namespace: this.net.path });
  }
}

function assertReady(log: string): void {
  if (!log.includes('the gateway is ready')) throw new Error(log.slice(-1_000));
}
