/** What a gateway tells Prometheus. */
import type { MetricFamily, MetricSample } from '../runtime/collected-metrics.ts';

export interface GatewayFacts {
  sessions: number;
  sessionCounts: { accepted: number; refused: number; ended: number };
  openStreams: number;
  streamCounts: Iterable<{ kind: string; outcome: string; count: number }>;
}

export const gatewayFamilies: readonly MetricFamily[] = [
  { name: 'potluck_gateway_sessions', help: 'Providers that are connected to this gateway', type: 'gauge', labelNames: [] },
  {
    name: 'potluck_gateway_sessions_total',
    help: 'Connections of providers, by what became of them: accepted, refused, ended',
    type: 'counter',
    labelNames: ['event'],
  },
  { name: 'potluck_gateway_streams', help: 'Streams to instances that are open', type: 'gauge', labelNames: [] },
  {
    name: 'potluck_gateway_streams_total',
    help: 'Streams that were asked for, by kind and outcome: Opened, or why not',
    type: 'counter',
    labelNames: ['kind', 'outcome'],
  },
];

export function gatewaySamples({ sessions, sessionCounts, openStreams, streamCounts }: GatewayFacts): MetricSample[] {
  return [
    { name: 'potluck_gateway_sessions', labels: {}, value: sessions },
    ...Object.entries(sessionCounts).map(([event, value]) => ({ name: 'potluck_gateway_sessions_total', labels: { event }, value })),
    { name: 'potluck_gateway_streams', labels: {}, value: openStreams },
    ...[...streamCounts].map(({ kind, outcome, count }) => ({
      name: 'potluck_gateway_streams_total',
      labels: { kind, outcome },
      value: count,
    })),
  ];
}
