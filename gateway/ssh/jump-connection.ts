/** One SSH connection to the jump host: shows a key, then opens ways to instances and nothing else. */
import type { Duplex } from 'node:stream';
import type { AuthContext, Channel, Connection, ForwardRequest } from 'ssh2';
import type { Logger } from '../../runtime/logger.ts';
import { joinChannel } from './join-channel.ts';
import { isSignedBy } from './verify-signature.ts';

export interface JumpConnectionOptions {
  connection: Connection;
  address: string;
  /** Whose the key is; undefined when it opens nothing. */
  holderOf: (key: string) => string | undefined;
  /** Throws {@link Refused}. */
  open: (request: WayRequest) => Promise<OpenWay>;
  /** It showed a key. */
  onKnown: () => void;
  logger: Logger;
}

export interface WayRequest {
  host: string;
  port: number;
  key: string;
  member: string;
  signal: AbortSignal;
}

export interface OpenWay {
  stream: Duplex;
  /** For logs. */
  sessionId: string;
  instance: string;
  /** Called once with what ends it; answers what stops that. */
  onCut: (cut: (why: string) => void) => () => void;
}

/** A sentence for whoever asked. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** Until a key is shown. */
const graceMs = 20_000;
const mostBadSignatures = 3;
/** An agent may have many. */
const mostUnknownKeys = 12;
const mostChannels = 16;
/** What waits to be sent. Data is held back before; who makes us say so much else is cut. */
const cutBytes = 8 * 1024 * 1024;
/** RFC 4254, 5.1. */
const prohibited = 1;
const connectFailed = 2;

export class JumpConnection {
  readonly #options: JumpConnectionOptions;
  readonly #channels = new Set<Channel>();
  readonly #closing = new AbortController();
  #asking = 0;
  #key: string | undefined;
  #member = '';
  #badSignatures = 0;
  #unknownKeys = 0;
  #refusal: { code: number; sentence: string } | undefined;

  constructor(options: JumpConnectionOptions) {
    this.#options = options;
    const { connection } = options;
    const { _sock: socket, _protocol: protocol } = connection;
    socket
      .setNoDelay(true)
      .setKeepAlive(true, 30_000)
      .setMaxListeners(4 * mostChannels);
    // The package leaves the reason out, and OpenSSH prints it.
    const fail = protocol.channelOpenFail.bind(protocol);
    protocol.channelOpenFail = (recipient, reason) => fail(recipient, this.#refusal?.code ?? reason, this.#refusal?.sentence ?? '');
    const grace = setTimeout(() => socket.destroy(), graceMs);
    connection.on('authentication', (context: AuthContext) => this.#authenticate(context));
    connection.on('ready', () => {
      clearTimeout(grace);
      options.onKnown();
    });
    connection.on(
      'tcpip',
      (accept: () => Channel, reject: () => void, request: ForwardRequest) => void this.#forward(accept, reject, request),
    );
    const notHere =
      'this is the jump host of a pool; it leads to instances and has nothing of its own: ssh -J, or what potluck ssh-config writes';
    for (const event of ['session', 'openssh.streamlocal']) {
      connection.on(event, (_accept: () => unknown, reject: () => void) => this.#refuse(reject, prohibited, notHere));
    }
    connection.on('request', (_accept: unknown, reject?: () => void) => reject?.());
    connection.on('error', (error: Error) =>
      options.logger.debug('a connection failed', { address: options.address, error: error.message }),
    );
    connection.once('close', () => {
      clearTimeout(grace);
      this.#closing.abort();
    });
    // Not before: a listener would set the bytes flowing that the package does not take yet.
    connection.once('handshake', () => socket.on('data', () => this.#judgeClient()));
  }

  get key(): string | undefined {
    return this.#key;
  }

  end(): void {
    this.#options.connection._sock.destroy();
  }

  #authenticate(context: AuthContext): void {
    const { key, signature, blob, hashAlgo } = context;
    if (context.method !== 'publickey' || key === undefined) {
      context.reject(['publickey']);
      return;
    }
    const line = `${key.algo} ${key.data.toString('base64')}`;
    const member = this.#options.holderOf(line);
    if (member === undefined) {
      this.#unknownKeys += 1;
      this.#rejectOrEnd(context, this.#unknownKeys >= mostUnknownKeys);
      return;
    }
    // A question whether the key would do; with only one of the two it is something else.
    if (signature === undefined && blob === undefined) {
      context.accept();
      return;
    }
    if (signature === undefined || blob === undefined || !isSignedBy({ key: line, message: blob, signature, hash: hashAlgo })) {
      this.#badSignatures += 1;
      this.#rejectOrEnd(context, this.#badSignatures >= mostBadSignatures);
      return;
    }
    this.#key = line;
    this.#member = member;
    context.accept();
  }

  #rejectOrEnd(context: AuthContext, isLast: boolean): void {
    context.reject(['publickey']);
    if (isLast) this.#options.connection.end();
  }

  async #forward(accept: () => Channel, reject: () => void, { destIP: host, destPort: port }: ForwardRequest): Promise<void> {
    const { open, logger, address } = this.#options;
    const key = this.#key;
    if (key === undefined || this.#channels.size + this.#asking >= mostChannels) {
      this.#refuse(reject, prohibited, `one connection leads to at most ${mostChannels} instances`);
      return;
    }
    this.#asking += 1;
    try {
      const way = await open({ host, port, key, member: this.#member, signal: this.#closing.signal });
      if (this.#closing.signal.aborted) way.stream.destroy();
      else this.#join(accept(), way);
    } catch (error) {
      const isRefused = error instanceof Refused;
      if (!isRefused && !this.#closing.signal.aborted) logger.error('a way could not be opened', { host, error });
      else
        logger.info('a way was refused', { member: this.#member, address, host: host.slice(0, 255), port, why: (error as Error).message });
      this.#refuse(reject, isRefused ? prohibited : connectFailed, isRefused ? error.message : 'the jump host failed; try again');
    } finally {
      this.#asking -= 1;
    }
  }

  #join(channel: Channel, { stream, sessionId, instance, onCut }: OpenWay): void {
    const { logger, address } = this.#options;
    const startMs = performance.now();
    this.#channels.add(channel);
    let why: string | undefined;
    const release = onCut((reason) => {
      why = reason;
      stream.destroy();
      // Not the channel alone: whoever reads nothing would not notice.
      this.#options.connection._sock.destroy();
    });
    const session = { session: sessionId, member: this.#member, instance, address };
    logger.info('a way is open', session);
    void joinChannel(channel, stream, this.#options.connection._sock).then(() => {
      release();
      this.#channels.delete(channel);
      const seconds = Math.round((performance.now() - startMs) / 100) / 10;
      logger.info('a way is closed', { ...session, seconds, ...(why === undefined ? {} : { why }) });
    });
  }

  /** Whoever sends more than it may, or makes us answer without ever reading, is cut. */
  #judgeClient(): void {
    const { _sock: socket } = this.#options.connection;
    const isOverrun = [...this.#channels].some(({ incoming }) => incoming.window < 0);
    if (isOverrun || socket.writableLength > cutBytes) {
      this.#options.logger.warn('a client that does not keep to its bounds is cut', {
        address: this.#options.address,
        member: this.#member,
      });
      socket.destroy();
    }
  }

  #refuse(reject: () => void, code: number, sentence: string): void {
    this.#refusal = { code, sentence };
    reject();
    this.#refusal = undefined;
  }
}
