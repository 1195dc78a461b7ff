/** How a stream is refused: a Kubernetes `Status`. Pure. */
import type { Status } from './status.ts';

const reasonsOfCodes: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  429: 'TooManyRequests',
  431: 'RequestHeaderFieldsTooLarge',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

/** `cause` is a word for programs, where the code says too little. */
export function refusalStatus(code: number, message: string, cause?: string): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: reasonsOfCodes[code] ?? 'Unknown',
    ...(cause === undefined ? {} : { details: { causes: [{ reason: cause, message }] } }),
    code,
  };
}

/** What another program sent as a refusal: its message and cause, or undefined when it is no Status. */
export function readRefusal(body: string): { message: string; cause: string | undefined } | undefined {
  try {
    const status = JSON.parse(body) as Partial<Status> | null;
    if (status?.kind !== 'Status' || typeof status.message !== 'string') return undefined;
    const cause = status.details?.causes?.[0]?.reason;
    return { message: status.message, cause: typeof cause === 'string' ? cause : undefined };
  } catch {
    return undefined;
  }
}
