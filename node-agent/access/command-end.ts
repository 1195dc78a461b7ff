/** How a remote command ended, as Kubernetes says it at the end of its streams. Pure. */
import type { Status } from '../../api/status.ts';

export function exitStatus(exitCode: number): Status {
  const head = { kind: 'Status', apiVersion: 'v1', metadata: {} } as const;
  if (exitCode === 0) return { ...head, status: 'Success' };
  return {
    ...head,
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
    code: 500,
  };
}

export function failedStatus(message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 };
}
