/** What the agent needs of a container engine to let people in: programs in containers, their output, and logs. `docker-access.ts` implements it. */
import type { Duplex, Readable } from 'node:stream';

export interface ContainerAccess {
  /** Makes a program ready to run in a running container. Rejects with an EngineError. */
  createExec(containerId: string, exec: ExecSpec): Promise<string>;
  /**
   * Starts it. Its output comes as {@link OutputPiece}s, or as plain bytes with a terminal; what is written is its input, and the end of the writing
   * the end of that. Destroying the stream does not end the program.
   */
  startExec(execId: string, tty: boolean): Promise<Duplex>;
  execState(execId: string): Promise<ExecState>;
  resizeExec(execId: string, size: TerminalSize): Promise<void>;
  /** The first process' own input and output, from now on. */
  attach(containerId: string, streams: AttachStreams): Promise<Duplex>;
  /** What the container wrote, each message behind its time: {@link OutputPiece}s. */
  logs(containerId: string, range: LogRange, signal: AbortSignal): Promise<Readable>;
}

export interface ExecSpec {
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export type AttachStreams = Pick<ExecSpec, 'stdin' | 'stdout' | 'stderr'>;

export interface ExecState {
  running: boolean;
  /** Undefined while it runs. */
  exitCode: number | undefined;
  /** In the engine's own count of processes; undefined before it was started. */
  pid: number | undefined;
}

export interface TerminalSize {
  columns: number;
  rows: number;
}

export interface LogRange {
  follow: boolean;
  /** Nanoseconds since the epoch; 0 for the beginning. */
  sinceNanos: bigint;
  /** Absent: up to now, or on. */
  untilNanos?: bigint;
  /** Of what there is before `untilNanos` is looked at; absent: all. */
  tail?: number;
}
