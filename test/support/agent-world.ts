/** An agent between a real API server and a real dockerd, with an owner's policy file, and instances that are bound to it by hand. */
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { writeKubeconfig } from '../../apiserver/access/kubeconfig.ts';
import { openPki } from '../../apiserver/access/pki.ts';
import { findCondition } from '../../api/conditions.ts';
import type { Instance } from '../../api/generated/instance.ts';
import type { Provider } from '../../api/generated/provider.ts';
import { providerUser, providersGroup } from '../../api/names.ts';
import type { Condition } from '../../api/object.ts';
import { instances, providers } from '../../api/resource-type.ts';
import { createClient } from '../../client/kube-client.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { startAgent } from '../../node-agent/agent.ts';
import type { Agent } from '../../node-agent/agent.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { createLogger, silentLogger } from '../../runtime/logger.ts';
import { updateStatus } from '../../runtime/status-writer.ts';
import { startTestApiServer } from './api-server.ts';
import type { TestApiServer } from './api-server.ts';
import { startTestDockerd } from './dockerd.ts';
import type { TestDockerd } from './dockerd.ts';
import { eventually } from './eventually.ts';
import { importTestImage, otherTestImage, testImage } from './image.ts';

export type InstanceStatus = NonNullable<Instance['status']>;

const namespace = 'default';
const logger =
  process.env['POTLUCK_TEST_LOG'] === undefined ? silentLogger : createLogger({ component: 'agent', level: 'debug', format: 'text' });

export async function startAgentWorld(): Promise<AgentWorld> {
  const home = await mkdtemp(join(tmpdir(), 'potluck-world-'));
  const [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd()]);
  const world = new AgentWorld({ home, api, dockerd });
  await world.start();
  return world;
}

export class AgentWorld {
  readonly providerName = 'desktop';
  readonly home: string;
  readonly api: TestApiServer;
  readonly docker: Docker;
  readonly admin: KubeClient;
  readonly #dockerd: TestDockerd;
  #ownClient: KubeClient | undefined;
  #provider: Provider | undefined;
  #agent: Agent | undefined;

  constructor({ home, api, dockerd }: { home: string; api: TestApiServer; dockerd: TestDockerd }) {
    this.home = home;
    this.api = api;
    this.#dockerd = dockerd;
    this.docker = new Docker({ socketPath: dockerd.socketPath });
    this.admin = createClient({ kubeconfig: api.kubeconfigPath, userAgent: 'test' });
  }

  async start(): Promise<void> {
    await importTestImage(this.#dockerd.socketPath);
    await importTestImage(this.#dockerd.socketPath, otherTestImage);
    this.#provider = await this.admin.create(providers, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Provider',
      metadata: { name: this.providerName },
      spec: { owner: 'tests', offer: { cpu: '2', memory: '2Gi', disk: '10Gi' } },
    });
    const uid = this.#provider.metadata.uid ?? '';
    const pki = await openPki({ directory: join(this.api.home, 'pki'), serverNames: [], now: Date.now });
    const subject = { commonName: providerUser(uid), organizations: [providersGroup] };
    const identity = await pki.issueClientCertificate({ ...subject, lifetimeMs: 86_400_000 });
    const kubeconfig = join(this.home, 'kubeconfig');
    await writeKubeconfig({ path: kubeconfig, server: this.api.url, caPem: pki.caPem, ...identity, user: providerUser(uid) });
    this.#ownClient = createClient({ kubeconfig, userAgent: 'potluck-agent' });
    await this.startAgent();
  }

  async startAgent(): Promise<void> {
    assert.ok(this.#ownClient);
    const engine = { kind: 'socket', socketPath: this.#dockerd.socketPath } as const;
    const { providerName, home } = this;
    const providerUid = this.#provider?.metadata.uid ?? '';
    const ownerPolicyPath = join(home, 'owner-policy.yaml');
    this.#agent = await startAgent({ client: this.#ownClient, providerName, providerUid, home, engine, ownerPolicyPath, logger });
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop();
    this.#agent = undefined;
  }

  async stop(): Promise<void> {
    await this.stopAgent();
    this.#ownClient?.close();
    this.admin.close();
    await this.#dockerd.stop();
    await this.api.stop();
    await rm(this.home, { recursive: true, force: true });
  }

  /** Writes the owner's policy as an editor saves. */
  async allow(rules: string): Promise<void> {
    const path = join(this.home, 'owner-policy.yaml');
    await writeFile(`${path}.swp`, `apiVersion: potluck.dev/v1alpha1\nkind: OwnerPolicy\n${rules}\n`);
    await rename(`${path}.swp`, path);
  }

  /** Creates an instance and binds it to this provider, as the scheduler would. */
  async run(name: string, spec: Partial<Instance['spec']> = {}): Promise<Instance> {
    const resources = { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '500m', memory: '128Mi', pids: '64' } };
    const instance = await this.admin.create(instances, {
      apiVersion: 'potluck.dev/v1alpha1',
      kind: 'Instance',
      metadata: { name, namespace },
      spec: { image: testImage, command: ['sleep', '1000'], resources, ...spec },
    });
    await updateStatus(this.admin, instances, { namespace, name }, (draft) => {
      const assignment = { providerName: this.providerName, providerUID: this.#provider?.metadata.uid ?? '', epoch: 1 };
      draft.status = { ...draft.status, phase: 'Assigned', assignment, lastEpoch: 1, hostname: `tests-desktop-${name}` };
    });
    return instance;
  }

  /** Deletes every instance, and waits until no container is left. */
  async clear(): Promise<void> {
    await this.allow('');
    for (const { metadata } of (await this.admin.list(instances, { namespace })).items) {
      await this.admin.delete(instances, { namespace, name: metadata.name ?? '' });
    }
    const gone = async (): Promise<void> => assert.equal((await this.docker.listContainers({ all: true })).length, 0);
    await eventually(gone, { timeoutMs: 60_000, what: 'no container' });
  }

  async until(name: string, claim: (status: InstanceStatus) => void, timeoutMs = 5_000): Promise<InstanceStatus> {
    const check = async (): Promise<InstanceStatus> => {
      const { status = {} } = await this.admin.get(instances, { namespace, name });
      try {
        claim(status);
      } catch (error) {
        throw new Error(`${String(error)} in ${JSON.stringify(status)}`, { cause: error });
      }
      return status;
    };
    return eventually(check, { timeoutMs, what: `${name} to be as claimed`, intervalMs: 50 });
  }

  inspect({ metadata }: Instance): Promise<Docker.ContainerInspectInfo> {
    return this.docker.getContainer(containerName(metadata.uid ?? '')).inspect();
  }
}

export function condition(status: InstanceStatus, type: string): Condition | undefined {
  return findCondition(status.conditions, type);
}

export function isReady(status: InstanceStatus): void {
  assert.equal(condition(status, 'Ready')?.status, 'True');
}
