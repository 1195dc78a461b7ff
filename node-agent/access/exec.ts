/** Streams of kind `exec`: a program in a running container. It ends with the stream, and so does everything that it started. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecParameters } from '../../api/stream-protocol.ts';
import type { Logger } from '../../runtime/logger.ts';
import { channels, encodeFrame } from '../../runtime/stream-frames.ts';
import type { ContainerAccess, ExecState } from '../engine/container-access.ts';
import { StreamRefusal, type StreamHandler, type StreamRequest } from '../tunnel/stream-handler.ts';
import { exitStatus, failedStatus } from './command-end.ts';
import { relayInput, relayOutput, type CommandProcess } from './command-streams.ts';
import { refusalOf } from './refuse.ts';
import type { SessionCgroups } from './session-cgroups.ts';
import { sessionVariable, SessionTree } from './session-tree.ts';

export interface ExecHandlerOptions {
  access: ContainerAccess;
  cgroups: SessionCgroups;
  logger: Logger;
}

/** The engine hears of an end a little later than we do of the end of the output. */
const exitMs = 5_000;
const pollMs = 20;
const mostArguments = 1024;

export function createExecHandler(options: ExecHandlerOptions): StreamHandler {
  return (request) => runCommand(options, request);
}

async function runCommand({ access, cgroups, logger }: ExecHandlerOptions, request: StreamRequest): Promise<void> {
  const { container, sessionId, signal, accept } = request;
  const spec = readExecParameters(request.parameters);
  if (container === undefined) throw new StreamRefusal(409, 'the instance does not run');
  const session = { access, containerId: container.id, sessionId };
  const { execId, process } = await start(session, spec).catch((error: unknown) => {
    throw refusalOf(error);
  });
  const cut = (): void => void process.stream.destroy();
  process.stream.on('error', () => undefined);
  signal.addEventListener('abort', cut, { once: true });
  const tree = enclose(cgroups, session, execId).catch((error: unknown) => {
    logger.warn('what a session starts cannot be ended with it', { session: sessionId, error });
    return undefined;
  });
  try {
    // Throws when the stream is gone already.
    const frames = accept();
    void relayInput(frames, process, signal);
    await relayOutput(process, frames, signal).catch(cut);
    if (signal.aborted) return;
    const status = await endOf(access, execId, signal);
    if (frames.writable) frames.end(encodeFrame(channels.error, JSON.stringify(status)));
    await (await tree)?.release();
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
    if (signal.aborted) await (await tree)?.kill();
  }
}

interface Session {
  access: ContainerAccess;
  containerId: string;
  sessionId: string;
}

async function start(
  { access, containerId, sessionId }: Session,
  spec: ExecParameters,
): Promise<{ execId: string; process: CommandProcess }> {
  const env = { [sessionVariable]: sessionId, ...(spec.tty ? { TERM: 'xterm' } : {}) };
  const execId = await access.createExec(containerId, { ...spec, env });
  const stream = await access.startExec(execId, spec.tty);
  return {
    execId,
    // A size that comes too early or too late is no failure.
    process: { stream, tty: spec.tty, resize: (size) => void access.resizeExec(execId, size).catch(() => undefined) },
  };
}

async function enclose(
  cgroups: SessionCgroups,
  { access, containerId, sessionId }: Session,
  execId: string,
): Promise<SessionTree | undefined> {
  const { pid, running } = await untilStarted(access, execId);
  return pid === undefined || !running ? undefined : SessionTree.enclose(cgroups, { pid, containerId, sessionId });
}

/** The engine answers a start before the program has a number. */
async function untilStarted(access: ContainerAccess, execId: string): Promise<ExecState> {
  const deadline = performance.now() + exitMs;
  for (;;) {
    const state = await access.execState(execId);
    if (state.pid !== undefined || state.exitCode !== undefined || performance.now() > deadline) return state;
    await delay(pollMs / 4);
  }
}

async function endOf(access: ContainerAccess, execId: string, signal: AbortSignal): Promise<ReturnType<typeof exitStatus>> {
  const deadline = performance.now() + exitMs;
  try {
    for (;;) {
      const { exitCode } = await access.execState(execId);
      if (exitCode !== undefined) return exitStatus(exitCode);
      if (performance.now() > deadline) return failedStatus('the command closed its output and still runs');
      await delay(pollMs, undefined, { signal });
    }
  } catch (error) {
    return failedStatus(error instanceof Error ? error.message : String(error));
  }
}

/** @throws {StreamRefusal} */
function readExecParameters(parameters: unknown): ExecParameters {
  const { command, stdin, stdout, stderr, tty } = parameters as Partial<Record<keyof ExecParameters, unknown>>;
  if (
    !Array.isArray(command) ||
    command.length === 0 ||
    command.length > mostArguments ||
    !command.every((word) => typeof word === 'string')
  )
    throw new StreamRefusal(400, `command must be a list of 1 to ${mostArguments} texts`);
  return { command, stdin: stdin === true, stdout: stdout === true, stderr: stderr === true && tty !== true, tty: tty === true };
}
