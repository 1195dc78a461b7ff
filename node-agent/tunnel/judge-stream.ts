/** Whether a stream may be opened to an instance, by what the agent knows of it. No input or output. */
import type { Instance } from '../../api/generated/instance.ts';
import { needsRunning } from '../../api/stream-protocol.ts';
import type { StreamKind } from '../../api/stream-protocol.ts';
import { refusalStatus } from '../../api/stream-status.ts';
import type { Status } from '../../api/status.ts';
import type { ObservedContainer } from '../engine/engine.ts';

export interface StreamQuestion {
  kind: StreamKind;
  /** Whether there is a handler for the kind. */
  isServed: boolean;
  askedEpoch: number;
  providerUid: string;
  isSynced: boolean;
  instance: Instance | undefined;
  /** That the agent acts on. */
  ownEpoch: number | undefined;
  containers: readonly ObservedContainer[];
}

export type StreamVerdict = { instance: Instance; container: ObservedContainer | undefined } | { refusal: Status };

export function judgeStream(question: StreamQuestion): StreamVerdict {
  const { kind, isServed, askedEpoch, providerUid, isSynced, instance, ownEpoch, containers } = question;
  const refusal = (code: number, message: string): StreamVerdict => ({ refusal: refusalStatus(code, message) });
  if (!isServed) return refusal(400, `this provider does not serve streams of kind ${kind}`);
  if (instance === undefined) {
    return isSynced ? refusal(404, 'the instance is not on this provider') : refusal(503, 'this provider has not read its instances yet');
  }
  const name = `${instance.metadata.namespace ?? ''}/${instance.metadata.name ?? ''}`;
  const assignment = instance.status?.assignment;
  if (assignment?.providerUID !== providerUid) return refusal(404, `${name} is not on this provider`);
  if (assignment.epoch !== askedEpoch || ownEpoch !== askedEpoch) {
    return refusal(409, `${name} is at epoch ${assignment.epoch} here, and not at ${askedEpoch}`);
  }
  const container = containers.find(({ state }) => state === 'running') ?? containers[0];
  const why = needsRunning(kind) ? whyNotRunning(instance, container) : undefined;
  return why === undefined ? { instance, container } : refusal(409, `${name} does not run: ${why}`);
}

function whyNotRunning({ spec }: Instance, container: ObservedContainer | undefined): string | undefined {
  if (container?.state !== 'running') return stateOf(container);
  return spec.powerState === 'Stopped' ? 'it is being stopped' : undefined;
}

function stateOf(container: ObservedContainer | undefined): string {
  return container === undefined ? 'it has no container yet' : `its container is ${container.state}`;
}
