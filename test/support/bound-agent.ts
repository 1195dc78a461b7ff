/** An agent in the test's own process between a real API server and a real dockerd; the test binds instances to it as the scheduler would. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPki } from '../../apiserver/access/pki.ts';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providerUser, providersGroup } from '../../api/names.ts';
import { boundStatus } from '../../api/placement-status.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startAgent } from '../../node-agent/agent.ts';
import type { Agent, AgentOptions } from '../../node-agent/agent.ts';
import { createLogger } from '../../runtime/logger.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import type { TestApiServer } from './api-server.ts';
import { eventually } from './eventually.ts';

const namespace = 'default';
const dayMs = 86_400_000;
export type AgentSettings = Partial<Pick<AgentOptions, 'engine' | 'metricsListen' | 'usageIntervalMs'>> & Pick<AgentOptions, 'engine'>;

export class BoundAgent {
  readonly admin: KubeClient;
  /** As created. */
  readonly provider: Provider;
  readonly home: string;
  readonly #own: KubeClient;
  readonly #settings: AgentSettings;
  #agent: Agent | undefined;

  private constructor(parts: { admin: KubeClient; own: KubeClient; provider: Provider; home: string; settings: AgentSettings }) {
    this.admin = parts.admin;
    this.provider = parts.provider;
    this.home = parts.home;
    this.#own = parts.own;
    this.#settings = parts.settings;
  }

  /** Joins a provider of this name, with credentials of its own, and starts its agent. */
  static async start(api: TestApiServer, name: string, settings: AgentSettings, spec: Partial<Provider['spec']> = {}): Promise<BoundAgent> {
    const home = await mkdtemp(join(tmpdir(), `potluck-${name}-`));
    const admin = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
    const provider = await admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name },
      spec: { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' }, ...spec },
    });
    const user = providerUser(provider.metadata.uid ?? '');
    const pki = await openPki({ directory: join(api.home, 'pki'), serverNames: [], now: Date.now });
    const identity = await pki.issueClientCertificate({ commonName: user, organizations: [providersGroup], lifetimeMs: dayMs });
    const kubeconfig = join(home, 'kubeconfig');
    await writeKubeconfig({ path: kubeconfig, server: api.url, caPem: pki.caPem, ...identity, user });
    const own = createClient({ kubeconfig, userAgent: 'potluck-agent' });
    const bound = new BoundAgent({ admin, own, provider, home, settings });
    await bound.startAgent();
    return bound;
  }

  get name(): string {
    return this.provider.metadata.name ?? '';
  }

  get uid(): string {
    return this.provider.metadata.uid ?? '';
  }

  get metricsPort(): number {
    return this.#agent?.metricsPort ?? 0;
  }

  get logFile(): string {
    return join(this.home, 'agent.log');
  }

  async startAgent(): Promise<void> {
    this.#agent = await startAgent({
      client: this.#own,
      providerName: this.name,
      providerUid: this.uid,
      home: this.home,
      logger: createLogger({ component: 'agent', level: 'debug', format: 'text', file: this.logFile }),
      ...this.#settings,
    });
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop();
    this.#agent = undefined;
  }

  /** Creates an instance; bind it next. */
  async create(name: string, spec: Partial<Instance['spec']> & Pick<Instance['spec'], 'image'>, labels = {}): Promise<Instance> {
    return this.admin.create(instances, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name, namespace, labels, finalizers: ['potluck.dev/container'] },
      spec: {
        command: ['sleep', '1000'],
        resources: { requests: { cpu: '250m', memory: '32Mi', disk: '64Mi' }, limits: { cpu: '500m', memory: '64Mi', pids: '64' } },
        ...spec,
      },
    });
  }

  async bind(name: string, epoch: number): Promise<void> {
    await updateStatus(this.admin, instances, { namespace, name }, (draft) => {
      const assignment = { providerName: this.name, providerUID: this.uid, epoch };
      draft.status = boundStatus(draft, assignment, `tests-${this.name}-${name}`, Date.now());
    });
  }

  get(name: string): Promise<Instance> {
    return this.admin.get(instances, { namespace, name });
  }

  /** Until the status is as claimed. */
  until(name: string, claim: (status: NonNullable<Instance['status']>) => void, timeoutMs = 20_000): Promise<Instance> {
    return eventually(
      async () => {
        const instance = await this.get(name);
        try {
          claim(instance.status ?? {});
        } catch (error) {
          throw new Error(`${String(error)}\n${JSON.stringify(instance.status, undefined, 1)}`, { cause: error });
        }
        return instance;
      },
      { timeoutMs, what: `${name} to be as claimed`, intervalMs: 100 },
    );
  }

  async stop(): Promise<void> {
    await this.stopAgent();
    this.#own.close();
    this.admin.close();
    await rm(this.home, { recursive: true, force: true });
  }
}
