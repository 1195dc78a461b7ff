/** What the server counts; implemented over the process's metrics registry. */
import type { Answer } from './answer.ts';

export interface RequestLabels {
  verb: string;
  /** Empty, like version and resource, for paths that are no resource of ours. */
  group: string;
  version: string;
  resource: string;
}

export interface ApiMetrics {
  countRequest(labels: RequestLabels & { code: number }, seconds: number): void;
  watchOpened(labels: RequestLabels): void;
  watchClosed(labels: RequestLabels): void;
  /** All metrics of the process in Prometheus' text format. */
  answer(): Promise<Answer>;
}
