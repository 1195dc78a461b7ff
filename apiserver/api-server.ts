/** Composes the API server: store, registry, access and HTTP. */
import { mkdir, readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../api/errors.ts';
import { controllerUser, mastersGroup } from '../api/names.ts';
import type { Logger } from '../runtime/logger.ts';
import { AccessControl } from './access/access-control.ts';
import { writeKubeconfig } from './access/kubeconfig.ts';
import type { Pki, PkiOptions } from './access/pki.ts';
import { machineAddresses, openPki } from './access/pki.ts';
import { AuditLog } from './http/audit/audit-log.ts';
import { parseAuditPolicy } from './http/audit/audit-policy.ts';
import { Auditor } from './http/audit/auditor.ts';
import { DiscoveryRoutes } from './http/discovery-routes.ts';
import type { HttpsListener } from './http/https-server.ts';
import { listen } from './http/https-server.ts';
import { OpenApiRoutes } from './http/openapi-routes.ts';
import { createApiMetrics } from './http/request-metrics.ts';
import { Routes } from './http/routes.ts';
import { defaultWatchLimits } from './http/watch-stream.ts';
import type { Catalogue } from './registry/catalogue.ts';
import { createCatalogue } from './registry/catalogue.ts';
import { parseMirrors } from './registry/mirrors/mirror-config.ts';
import type { MirrorConfig } from './registry/mirrors/mirror-config.ts';
import { createMirror } from './registry/mirrors/mirrored-resource.ts';
import type { EtcdStoreOptions } from './store/etcd-store.ts';
import { createEtcdStore } from './store/etcd-store.ts';
import type { Store } from './store/store.ts';

export interface ApiServerOptions {
  etcd: Pick<EtcdStoreOptions, 'endpoints' | 'tls' | 'keyPrefix'>;
  /** Port 0: any free one. */
  listen: { host: string; port: number };
  /** Name or address that others reach this server by; it goes into the certificate and into the kubeconfigs. */
  advertiseAddress?: string;
  /** More names and addresses for the certificate. */
  extraNames?: readonly string[];
  /** `$POTLUCK_HOME`: `pki/` and `kubeconfig` are written here. */
  home: string;
  logger: Logger;
  /** Which users stand for which objects; default `manifests/access.yaml`. */
  accessConfig?: string;
  /** Absent: nothing is written down. */
  audit?: { policyFile: string; logPath: string; maxBytes: number; maxBackups: number };
  /** How often it is looked whether the certificate still fits; default a minute. */
  certificateCheckMs?: number;
  /** The machine's links, each time that they are looked at. */
  interfaces?: typeof networkInterfaces;
  /** What is mirrored from other resources, as `manifests/metrics.yaml` has it; absent: nothing. */
  mirrorsFile?: string;
  /** How long to wait for etcd at the start. */
  etcdTimeoutMs?: number;
}

export interface ApiServer {
  /** As in the admin's kubeconfig. */
  url: string;
  port: number;
  /** Lets requests that are under way end for up to five seconds; ends watches cleanly. */
  stop(): Promise<void>;
}

const dayMs = 86_400_000;
const adminLifetimeMs = 365 * dayMs;
const stopGraceMs = 5000;
const certificateCheckMs = 60_000;
const etcdTimeoutMs = 20_000;
const etcdRetryMs = 200;

/**
 * Starts the server and resolves when it answers every request. Throws `UserError`: `ETCD_UNREACHABLE`, `PORT_IN_USE`, `STATE_DAMAGED`,
 * `BAD_ARGUMENT`.
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { logger } = options;
  const undo: (() => Promise<void>)[] = [];
  try {
    const store = createEtcdStore(options.etcd);
    undo.push(() => store.close());
    await waitForEtcd(store, options);
    await mkdir(options.home, { recursive: true });
    const pki = await openPki(pkiOptionsOf(options));
    const nowMs = (): number => Date.now();
    const configFile = options.accessConfig;
    const access = await AccessControl.open({
      pkiDirectory: pkiDirectoryOf(options),
      ...(configFile === undefined ? {} : { configFile }),
      logger,
      nowMs,
    });
    const catalogue = await createCatalogue({ store, logger, nowMs, checkWrite: (write) => access.checkWrite(write) });
    undo.push(() => catalogue.close());
    catalogue.serve((await readMirrors(options)).map((mirror) => createMirror(mirror, catalogue)));
    await withinTime(catalogue.start(), options);
    undo.push(() => access.close());
    await withinTime(access.start(catalogue), options);
    const audit = await openAudit(options);
    undo.push(() => Promise.resolve(audit?.close()));
    const { port, close, useCertificate, routes } = await serve(options, { pki, catalogue, store, access, audit });
    undo.push(async () => {
      routes.endWatches();
      await close(stopGraceMs);
    });
    undo.push(keepCertificate(options, pki, useCertificate));
    const url = await writeKubeconfigs(options, pki, port);
    logger.info('the API server is ready', { url, port });
    return { url, port, stop: () => runInReverse(undo) };
  } catch (error) {
    await runInReverse(undo);
    throw error;
  }
}

/** Every step runs, also after one that failed; the first failure is thrown at the end. */
async function runInReverse(steps: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps.splice(0).reverse()) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

interface ServerParts {
  pki: Pki;
  catalogue: Catalogue;
  store: Store;
  access: AccessControl;
  audit: Auditor | undefined;
}

async function readMirrors({ mirrorsFile }: ApiServerOptions): Promise<MirrorConfig[]> {
  if (mirrorsFile === undefined) return [];
  return parseMirrors(await readText(mirrorsFile, 'Put back the file that came with the program'), mirrorsFile);
}

/** Throws `BAD_ARGUMENT` for a file that cannot be read. */
async function readText(path: string, remedy: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UserError('BAD_ARGUMENT', `${path} cannot be read`, remedy, { cause: error });
  }
}

/** Throws `BAD_ARGUMENT` for a policy that cannot be read. */
async function openAudit({ audit, logger }: ApiServerOptions): Promise<Auditor | undefined> {
  if (audit === undefined) return undefined;
  const { policyFile, logPath: path, maxBytes, maxBackups } = audit;
  const text = await readText(policyFile, 'Name a file with --audit-policy-file');
  const policy = parseAuditPolicy(text, policyFile);
  return new Auditor(policy, new AuditLog({ path, maxBytes, maxBackups, logger, nowMs: () => Date.now() }));
}

async function serve(
  options: ApiServerOptions,
  { pki, catalogue, store, access, audit }: ServerParts,
): Promise<HttpsListener & { routes: Routes }> {
  let address = '';
  const readiness = [
    { name: 'etcd', check: () => store.currentRevision().then(() => undefined) },
    { name: 'informer-sync', check: () => catalogue.ready },
  ];
  const routes = new Routes({
    access,
    catalogue,
    discovery: new DiscoveryRoutes(catalogue, () => address),
    openApi: new OpenApiRoutes(catalogue),
    health: { livez: [], readyz: readiness },
    metrics: createApiMetrics(),
    ...(audit === undefined ? {} : { audit }),
    logger: options.logger,
    watchLimits: defaultWatchLimits,
  });
  const { host, port } = options.listen;
  const listening = await listen({ server: pki.server, caPem: pki.caPem, host, port }, (request, response) => {
    void routes.handle(request, response);
  });
  listening.server.on('error', (error) => {
    options.logger.error('the listening socket failed', { error });
  });
  address = hostAndPort(options.advertiseAddress ?? reachableHost(host), listening.port);
  return { ...listening, routes };
}

/** Waits until etcd answers, for a bounded time. */
async function waitForEtcd(store: Store, options: ApiServerOptions): Promise<void> {
  const deadline = performance.now() + (options.etcdTimeoutMs ?? etcdTimeoutMs);
  for (;;) {
    try {
      await withinTime(store.currentRevision(), options);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw etcdUnreachable(options, error);
      await new Promise((resolve) => setTimeout(resolve, etcdRetryMs));
    }
  }
}

async function withinTime<T>(work: Promise<T>, options: ApiServerOptions): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(etcdUnreachable(options, new Error('no answer in time')));
  }, options.etcdTimeoutMs ?? etcdTimeoutMs);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function etcdUnreachable({ etcd }: ApiServerOptions, cause: unknown): UserError {
  const endpoints = etcd.endpoints.join(', ');
  const what = `etcd at ${endpoints} does not answer: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new UserError('ETCD_UNREACHABLE', what, 'Start it, or give the right addresses and certificates with --etcd-servers', { cause });
}

function pkiDirectoryOf({ home }: ApiServerOptions): string {
  return join(home, 'pki');
}

/** A server that listens everywhere is known by every address that the machine has now. */
function pkiOptionsOf(options: ApiServerOptions): PkiOptions {
  const { host } = options.listen;
  const { advertiseAddress, extraNames = [] } = options;
  const addresses = host === '0.0.0.0' || host === '::' || host === '' ? machineAddresses((options.interfaces ?? networkInterfaces)()) : [];
  const names = [host, ...(advertiseAddress === undefined ? [] : [advertiseAddress]), ...extraNames, ...addresses];
  return { directory: pkiDirectoryOf(options), serverNames: names, now: () => Date.now() };
}

/** For servers that run longer than their certificate, or whose machine moves to another network. Answers what ends it. */
function keepCertificate(options: ApiServerOptions, pki: Pki, useCertificate: HttpsListener['useCertificate']): () => Promise<void> {
  const { logger } = options;
  let present = pki.server.certPem;
  let running: Promise<void> = Promise.resolve();
  const renew = async (): Promise<void> => {
    try {
      const renewed = await openPki(pkiOptionsOf(options));
      if (renewed.server.certPem === present) return;
      useCertificate(renewed);
      present = renewed.server.certPem;
      logger.info('the server has a new certificate', { names: pkiOptionsOf(options).serverNames });
    } catch (error) {
      logger.error('the server’s certificate could not be renewed', { error });
    }
  };
  const timer = setInterval(() => {
    running = running.then(renew);
  }, options.certificateCheckMs ?? certificateCheckMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    return running;
  };
}

/** Answers the URL that the admin's kubeconfig has. */
async function writeKubeconfigs({ home, listen: { host }, advertiseAddress }: ApiServerOptions, pki: Pki, port: number): Promise<string> {
  const url = `https://${hostAndPort(advertiseAddress ?? reachableHost(host), port)}`;
  const admin = { commonName: 'potluck-admin', organizations: [mastersGroup] };
  const controller = { commonName: controllerUser, organizations: [] };
  const write = async (path: string, server: string, subject: typeof admin): Promise<void> => {
    const pair = await pki.issueClientCertificate({ ...subject, lifetimeMs: adminLifetimeMs });
    await writeKubeconfig({ path, server, caPem: pki.caPem, ...pair, user: subject.commonName });
  };
  await write(join(home, 'pki', 'controller.kubeconfig'), `https://${hostAndPort(reachableHost(host), port)}`, controller);
  await write(join(home, 'kubeconfig'), url, admin);
  return url;
}

/** An address that leads to a server that listens on `host`, from this machine. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function hostAndPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
