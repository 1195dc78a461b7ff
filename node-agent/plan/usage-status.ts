/** Usage as statuses say it. Pure. */
import { formatQuantity, quantityFromUnits } from '../../api/quantity.ts';
import { formatTime } from '../../api/time.ts';
import type { ReportedUsage } from '../usage/usage-rate.ts';

const mebibyte = 1024 * 1024;

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
  return formatQuantity({ nanos: BigInt(millis) * 1_000_000n, format: 'DecimalSI' });
}

/** Coarse, so that a status is not written for each kilobyte. */
function wholeMebibytes(bytes: number): string {
  return formatQuantity(quantityFromUnits(Math.ceil(bytes / mebibyte) * mebibyte));
}
