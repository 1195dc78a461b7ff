/** Usage as statuses say it. Pure. */
import { formatTime } from '../../api/time.ts';
import type { ReportedUsage } from '../usage/usage-rate.ts';

export interface UsageStatus {
  usage: Record<string, string>;
  usageMeasuredAt?: string;
  usageWindow?: string;
}

export function usageStatus({ running, diskBytes }: ReportedUsage): UsageStatus {
  const disk = diskBytes === undefined ? {} : { disk: wholeMebibytes(diskBytes) };
  if (running === undefined) return { usage: disk };
  const { cpuMillis, memoryBytes, ingressBytes, egressBytes, measuredAtMs, windowMs } = running;
  return {
    usage: {
      cpu: wholeMillicores(cpuMillis),
      memory: wholeMebibytes(memoryBytes),
      ...disk,
      'ingress-bytes': String(ingressBytes),
      'egress-bytes': String(egressBytes),
    },
    usageMeasuredAt: formatTime(measuredAtMs),
    usageWindow: `${Math.max(1, Math.round(windowMs / 1000))}s`,
  };
}

export function withoutUsage<T extends object>(status: T): Omit<T, keyof UsageStatus> {
  const rest: T & Partial<UsageStatus> = { ...status };
  delete rest.usage;
  delete rest.usageMeasuredAt;
  delete rest.usageWindow;
  return rest;
}

function wholeMillicores(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

/** Coarse, so that a status is not written for each kilobyte. */
function wholeMebibytes(bytes: number): string {
  const mebibytes = Math.ceil(bytes / 1024 / 1024);
  if (mebibytes === 0) return '0';
  return mebibytes % 1024 === 0 ? `${mebibytes / 1024}Gi` : `${mebibytes}Mi`;
}
