import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { ApiMetrics } from './metrics.ts';

/** Counts under the names that kube-apiserver uses, in a registry of its own. */
export function createApiMetrics(): ApiMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and code.',
    labelNames: ['verb', 'group', 'version', 'resource', 'code'],
    registers,
  });
  const durations = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'How long requests took, without watches.',
    labelNames: ['verb', 'group', 'version', 'resource'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const watches = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Watches that are open now.',
    labelNames: ['verb', 'group', 'version', 'resource'],
    registers,
  });
  return {
    countRequest({ code, ...labels }, seconds) {
      requests.inc({ ...labels, code });
      if (labels.verb !== 'WATCH') durations.observe(labels, seconds);
    },
    watchOpened: (labels) => {
      watches.inc({ ...labels });
    },
    watchClosed: (labels) => {
      watches.dec({ ...labels });
    },
    answer: async () => ({ code: 200, contentType: registry.contentType, body: Buffer.from(await registry.metrics()) }),
  };
}
