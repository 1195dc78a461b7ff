/** Prometheus metrics under the names that controller-runtime and client-go gave them, so that known dashboards and alerts fit. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { UserError } from '../api/errors.ts';
import type { ControllerMetrics } from './controller-metrics.ts';
import type { Logger } from './logger.ts';

export interface Metrics {
  registry: Registry;
  controllers: ControllerMetrics;
}

/** A registry of its own, with the process' memory, CPU and event loop in it. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return { registry, controllers: controllerMetrics(registry) };
}

const passBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const waitBuckets = [0.0001, 0.001, 0.01, 0.1, 1, 10, 60];

function controllerMetrics(registry: Registry): ControllerMetrics {
  const registers = [registry];
  const byController = { registers, labelNames: ['controller'] as const };
  const byName = { registers, labelNames: ['name'] as const };
  const maxWorkers = new Gauge({
    name: 'controller_runtime_max_concurrent_reconciles',
    help: 'Workers of a controller',
    ...byController,
  });
  const active = new Gauge({ name: 'controller_runtime_active_workers', help: 'Workers that are in a pass', ...byController });
  const passes = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Passes by their result',
    registers,
    labelNames: ['controller', 'result'] as const,
  });
  const errors = new Counter({ name: 'controller_runtime_reconcile_errors_total', help: 'Passes that failed', ...byController });
  const timeouts = new Counter({ name: 'controller_runtime_reconcile_timeouts_total', help: 'Passes that took too long', ...byController });
  const seconds = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Time of a pass',
    buckets: passBuckets,
    ...byController,
  });
  const depth = new Gauge({ name: 'workqueue_depth', help: 'Keys that wait for a worker', ...byName });
  const adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys that started to wait for a worker', ...byName });
  const waited = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'Time that a key waited for a worker',
    buckets: waitBuckets,
    ...byName,
  });
  const retries = new Counter({ name: 'workqueue_retries_total', help: 'Keys that were added again after a failure', ...byName });
  return {
    workers: (controller, count) => maxWorkers.set({ controller }, count),
    passStarted: (controller) => active.inc({ controller }),
    passEnded: (controller, result, duration) => {
      active.dec({ controller });
      passes.inc({ controller, result });
      if (result === 'error') errors.inc({ controller });
      seconds.observe({ controller }, duration);
    },
    passTimedOut: (controller) => timeouts.inc({ controller }),
    keyAdded: (name, waiting) => {
      adds.inc({ name });
      depth.set({ name }, waiting);
    },
    keyTaken: (name, waiting, duration) => {
      depth.set({ name }, waiting);
      waited.observe({ name }, duration);
    },
    keyRetried: (name) => retries.inc({ name }),
  };
}

export interface MetricsServer {
  /** The port that was bound, also when 0 was asked for. */
  port: number;
  close: () => Promise<void>;
}

export interface MetricsServerOptions {
  host: string;
  port: number;
  registry: Registry;
  logger: Logger;
}

/** Serves `GET /metrics`. Plain HTTP and open to whoever reaches it: bind it to the loopback interface. */
export async function startMetricsServer({ host, port, registry, logger }: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => {
        logger.error('metrics cannot be written', { error });
        response.writeHead(500).end();
      },
    );
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const remedy = 'Choose another port for metrics, or stop what uses it.';
      const isTaken = error.code === 'EADDRINUSE';
      reject(isTaken ? new UserError('PORT_IN_USE', `port ${port} on ${host} is taken`, remedy, { cause: error }) : error);
    });
    server.listen(port, host, resolve);
  });
  server.on('error', (error) => logger.warn('the metrics server had an error', { error }));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
