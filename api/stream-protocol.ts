/** What gateways, agents and the jump host say to each other when a stream to an instance is opened; docs/reaching-instances.md has the rules. */

/** Path and protocol by which an agent's connection to a gateway turns round. */
export const tunnelPath = '/tunnel/v1';
export const tunnelProtocol = 'potluck-tunnel';

/** Headers. Values of the first are decimal numbers. */
export const sessionHeader = 'x-potluck-session';
export const epochHeader = 'x-potluck-epoch';
export const kindHeader = 'x-potluck-kind';
/** JSON in base64url: what the kind takes. */
export const parametersHeader = 'x-potluck-parameters';
/** 128 random bits in hex: names the stream in events, audit and logs. */
export const sessionIdHeader = 'x-potluck-session-id';
export const userHeader = 'x-potluck-user';
/** How often the request was handed on by a gateway; more than once is too often. */
export const hopsHeader = 'x-potluck-hops';

export const streamKinds = ['ssh', 'exec', 'attach', 'logs', 'port'] as const;
export type StreamKind = (typeof streamKinds)[number];

export function isStreamKind(text: string): text is StreamKind {
  return (streamKinds as readonly string[]).includes(text);
}

/** Logs are there, also of what does not run any more. */
export function needsRunning(kind: StreamKind): boolean {
  return kind !== 'logs';
}

export interface SshParameters {
  readonly [name: string]: never;
}

export interface ExecParameters {
  /** The program and its arguments; at least one. */
  command: readonly string[];
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export type AttachParameters = Omit<ExecParameters, 'command'>;

/** As Kubernetes' PodLogOptions. */
export interface LogParameters {
  follow?: boolean;
  tailLines?: number;
  sinceSeconds?: number;
  /** RFC 3339. */
  sinceTime?: string;
  timestamps?: boolean;
  /** Of the container before the last restart. */
  previous?: boolean;
  limitBytes?: number;
}

export interface PortParameters {
  /** Of the instance itself. */
  port: number;
}

export interface StreamParameters {
  ssh: SshParameters;
  exec: ExecParameters;
  attach: AttachParameters;
  logs: LogParameters;
  port: PortParameters;
}

/** The bounds that gateways and agents both hold to. */
export const streamBounds = {
  /** For one user, at one gateway and at one agent. */
  perUser: 64,
  /** For one agent. */
  perAgent: 256,
  /** Bytes on their way in one direction of one stream, at one end. */
  windowBytes: 1024 * 1024,
  sessionWindowBytes: 16 * 1024 * 1024,
  /** A stream in which nothing moves is ended. */
  idleMs: 2 * 3_600_000,
  /** Headers of a request, all together. */
  headerBytes: 64 * 1024,
} as const;
