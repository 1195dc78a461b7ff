/** The composition root: every duty of the controller, with what it is given. */
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import { memberNamespace, providerLeaseDurationSeconds, providerLeaseNamespace, systemNamespace } from '../api/names.ts';
import type { KubernetesObject } from '../api/object.ts';
import {
  certificateSigningRequests,
  clusterRoleBindings,
  customResourceDefinitions,
  instances,
  joinTokens,
  leases,
  members,
  namespaces,
  providerInventories,
  providerReservations,
  providers,
  resourceQuotas,
  roleBindings,
  serviceAccounts,
} from '../api/resource-type.ts';
import type { ResourceType } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import { createInformer } from '../client/kube-informer.ts';
import type { InformerOptions } from '../client/kube-informer.ts';
import { systemClock } from '../runtime/clock.ts';
import type { ControllerMetrics } from '../runtime/controller-metrics.ts';
import type { Controller } from '../runtime/controller.ts';
import { createEventRecorder } from '../runtime/event-recorder.ts';
import type { EventRecorder } from '../runtime/event-recorder.ts';
import { runLeaderElection } from '../runtime/leader-election.ts';
import type { Logger } from '../runtime/logger.ts';
import { createManager } from '../runtime/manager.ts';
import { CertificateSigning } from './certificate-signing/certificate-signing.ts';
import { JoinTokenExpiry } from './certificate-signing/join-token-expiry.ts';
import { defaultKeepingTimes } from './certificate-signing/judge-age.ts';
import type { KeepingTimes } from './certificate-signing/judge-age.ts';
import type { CertificateSigner } from './certificate-signing/signer.ts';
import { discover } from './discovery.ts';
import { GarbageCollection } from './garbage-collection/garbage-collection.ts';
import { graphIndexes } from './garbage-collection/object-graph.ts';
import { InstanceLifecycle } from './instance-lifecycle/instance-lifecycle.ts';
import { Members } from './members/members.ts';
import { NamespaceDeletion } from './namespace-deletion/namespace-deletion.ts';
import { ProviderLifecycle } from './provider-lifecycle/provider-lifecycle.ts';
import { ProviderTotals } from './provider-totals/provider-totals.ts';
import { namespaceOfQuota, quotaNamespaceIndex, ResourceQuotas } from './resource-quota/resource-quota.ts';
import { initialLedger, instanceUidIndex, instanceUidsOf, LedgerKeeper } from './scheduler/ledger-keeper.ts';
import { LedgerWriter } from './scheduler/ledger-writer.ts';
import type { LedgerSpec } from './scheduler/ledger.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { Snapshot } from './scheduler/snapshot.ts';

export interface ControllerOptions {
  client: Client;
  logger: Logger;
  /** Unique among the controllers of a pool, also after a restart. */
  identity: string;
  /** Off: every duty runs at once, beside whatever other controllers do. Everything still holds; work is done twice. */
  leaderElection: boolean;
  metrics?: ControllerMetrics;
  /** How long a reservation may wait for its bind; 60 s. */
  reservationExpiryMs?: number;
  /** How long a provider may not renew before it is Unknown; 40 s. */
  providerLeaseDurationMs?: number;
  /** Absent where the pool's authority is not at hand: signing is left to a controller that has it. */
  signing?: SigningOptions;
}

export interface SigningOptions {
  signer: CertificateSigner;
  /** The longest that a certificate holds. */
  durationMs: number;
  /** How long requests and tokens are kept that are done with. */
  times?: KeepingTimes;
}

export interface RunningController {
  /** Ends every pass and watch, gives the lead back. Safe to repeat. */
  stop(): Promise<void>;
}

/** A leader that crashed is followed after this long. */
const leaseDurationMs = 12_000;
const renewDeadlineMs = 7_000;
const retryPeriodMs = 2_000;
/** Less than what a leader that lost its lease has left. */
const stopTimeoutMs = 4_000;

const providerUidIndex = 'provider-uid';
const providerNameIndex = 'provider-name';

/** Signing has a leader of its own: the controller that leads in all else may not have the authority's key. */
export function startController(options: ControllerOptions): Promise<RunningController> {
  const { logger, signing } = options;
  const parts = [startPart('controller', options, composeDuties)];
  if (signing === undefined) logger.info('the key of the authority is not here: signing certificates is left to a controller that has it');
  else parts.push(startPart('certificate-signing', options, (_, watch, tell) => composeSigning(options, signing, watch, tell)));
  const stop = async (): Promise<void> => {
    await Promise.all(parts.map((part) => part.stop()));
  };
  return Promise.resolve({ stop });
}

/** Duties that one process among several does; `name` is that of their lease. */
function startPart(name: string, options: ControllerOptions, compose: Compose): RunningController {
  if (!options.leaderElection) return startDuties(options, compose);
  let duties: RunningController | undefined;
  const election = runLeaderElection({
    client: options.client,
    lease: { namespace: systemNamespace, name },
    identity: options.identity,
    logger: options.logger,
    leaseDurationMs,
    renewDeadlineMs,
    retryPeriodMs,
    onStarted: () => {
      duties = startDuties(options, compose);
    },
    onStopped: async () => {
      await duties?.stop();
      duties = undefined;
    },
  });
  return { stop: () => election.stop() };
}

function startDuties(options: ControllerOptions, compose: Compose): RunningController {
  const { client, logger, metrics } = options;
  const informers: Informer<never>[] = [];
  const watch = <T extends KubernetesObject>(type: ResourceType<T>, more: Partial<InformerOptions<T>> = {}): Informer<T> => {
    const informer = createInformer(client, type, { logger: logger.child({ informer: type.plural }), ...more });
    informers.push(informer as unknown as Informer<never>);
    return informer;
  };
  const recorders: EventRecorder[] = [];
  const tell = (component: string): Tell => {
    const recorder = createEventRecorder({ client, component, instance: options.identity, logger });
    recorders.push(recorder);
    return (about, { type, reason, message }) => recorder.record(about, type, reason, message);
  };
  const { controllers, collection } = compose(options, watch, tell);
  const manager = createManager({ logger, stopTimeoutMs, ...(metrics && { metrics }) });
  for (const controller of controllers) manager.add(controller);
  for (const informer of informers) informer.start();
  manager.start();
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    // Passes that wait for an informer end when it stops.
    const ending = manager.stop();
    await Promise.all([ending, collection?.stop(), ...informers.map((informer) => informer.stop())]);
    await Promise.all(recorders.map((recorder) => recorder.stop()));
  };
  return { stop: () => (stopped ??= stop()) };
}

type Watch = <T extends KubernetesObject>(type: ResourceType<T>, more?: Partial<InformerOptions<T>>) => Informer<T>;
type Tell = (about: KubernetesObject, event: { type: 'Normal' | 'Warning'; reason: string; message: string }) => void;

type Compose = (options: ControllerOptions, watch: Watch, tell: (component: string) => Tell) => Duties;

interface Duties {
  controllers: Controller[];
  /** Has informers of its own. */
  collection?: GarbageCollection;
}

function composeDuties(options: ControllerOptions, watch: Watch, tell: (component: string) => Tell): Duties {
  const { client, logger, reservationExpiryMs = 60_000, providerLeaseDurationMs = providerLeaseDurationSeconds * 1000 } = options;
  const allInstances = watch(instances, {
    indexes: {
      [providerUidIndex]: ({ status }) => (status?.assignment === undefined ? [] : [status.assignment.providerUID]),
      [providerNameIndex]: ({ status }) => (status?.assignment === undefined ? [] : [status.assignment.providerName]),
    },
  });
  const allProviders = watch(providers);
  const ledgers = watch(providerReservations, { indexes: { [instanceUidIndex]: instanceUidsOf } });
  const boundTo = (providerUid: string): readonly Instance[] => allInstances.byIndex(providerUidIndex, providerUid);
  const assignedTo = (providerName: string): readonly Instance[] => allInstances.byIndex(providerNameIndex, providerName);
  const common = { client, instances: allInstances, providers: allProviders };

  const snapshot = new Snapshot();
  const writer: LedgerWriter = new LedgerWriter({
    client,
    cached: (name) => ledgers.get(name),
    initialSpec: (provider) => readInitialLedger(client, provider),
    onSeen: (ledger) => scheduler.seeLedger(ledger),
  });
  const record = tell('scheduler');
  const scheduler: Scheduler = new Scheduler({ ...common, ledgers, snapshot, writer, record, nowMs: () => systemClock.nowMs() });
  const allNamespaces = watch(namespaces);
  const allQuotas = watch(resourceQuotas, { indexes: { [quotaNamespaceIndex]: namespaceOfQuota } });
  const quotas = new ResourceQuotas({
    client,
    quotas: allQuotas,
    definitions: watch(customResourceDefinitions),
    discover: (signal) => discover(client, signal),
    nowMs: () => systemClock.nowMs(),
  });
  const collection = new GarbageCollection({
    client,
    onChange: (object, previous) => {
      quotas.see(object, previous);
    },
    discover: (signal) => discover(client, signal),
    createInformer: (type) =>
      createInformer(client, type, { indexes: graphIndexes, logger: logger.child({ informer: `graph ${type.plural}` }) }),
  });
  return {
    collection,
    controllers: [
      new InstanceLifecycle({ ...common, boundTo }),
      new ProviderLifecycle({
        ...common,
        leases: watch(leases, { namespace: providerLeaseNamespace }),
        ledgers,
        inventories: watch(providerInventories),
        assignedTo,
        record: tell('provider-lifecycle'),
        clock: systemClock,
        leaseDurationMs: providerLeaseDurationMs,
      }),
      scheduler,
      new LedgerKeeper({ ...common, ledgers, boundTo, writer, record, expiryMs: reservationExpiryMs }),
      new ProviderTotals({ client, providers: allProviders, ledgers }),
      collection,
      quotas,
      new NamespaceDeletion({ client, namespaces: allNamespaces, discover: (signal) => discover(client, signal) }),
      new Members({
        client,
        members: watch(members),
        namespaces: allNamespaces,
        roleBindings: watch(roleBindings),
        quotas: allQuotas,
        serviceAccounts: watch(serviceAccounts, { namespace: memberNamespace }),
        clusterRoleBindings: watch(clusterRoleBindings),
        record: tell('members'),
      }),
    ],
  };
}

function composeSigning(
  { client }: ControllerOptions,
  { signer, durationMs, times = defaultKeepingTimes }: SigningOptions,
  watch: Watch,
  tell: (component: string) => Tell,
): Duties {
  const allProviders = watch(providers, { indexes: { [providerUidIndex]: ({ metadata }) => [metadata.uid ?? ''] } });
  const signing = new CertificateSigning({
    client,
    requests: watch(certificateSigningRequests),
    providerOf: (uid) => allProviders.byIndex(providerUidIndex, uid)[0],
    signer,
    durationMs,
    times,
    tell: tell('certificate-signing'),
  });
  return { controllers: [signing, new JoinTokenExpiry({ client, tokens: watch(joinTokens), times })] };
}

/** What is bound to a provider is asked of the API, not of a copy: a ledger that begins without an instance would give its place away again. */
async function readInitialLedger(client: Client, provider: Provider): Promise<LedgerSpec> {
  const uid = provider.metadata.uid ?? '';
  const { items } = await client.list(instances, { fieldSelector: `status.assignment.providerUID=${uid}` });
  return initialLedger(uid, items, provider.metadata.name ?? '', systemClock.nowMs());
}
