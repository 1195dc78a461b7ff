/** Exec, attach and logs, as the agent serves them. */
import type { StreamKind } from '../../api/stream-protocol.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { ContainerAccess } from '../engine/container-access.ts';
import type { StreamHandler } from '../tunnel/stream-handler.ts';
import { createAttachHandler } from './attach.ts';
import { createExecHandler } from './exec.ts';
import type { KeptLogs } from './kept-logs.ts';
import { createLogHandler, type LogWorld } from './logs.ts';
import { SessionCgroups } from './session-cgroups.ts';
import { tellSessions } from './tell-sessions.ts';

export interface AccessHandlerOptions {
  access: ContainerAccess;
  kept: KeptLogs;
  world: LogWorld;
  recorder: EventRecorder;
  logger: Logger;
}

/** Logs are read, not opened: the API server's audit log has them. */
export function createAccessHandlers({ access, kept, world, recorder, logger }: AccessHandlerOptions): [StreamKind, StreamHandler][] {
  return [
    ['exec', tellSessions('exec', recorder, createExecHandler({ access, cgroups: new SessionCgroups(), logger }))],
    ['attach', tellSessions('attach', recorder, createAttachHandler(access))],
    ['logs', createLogHandler({ access, kept, world })],
  ];
}
