import { Etcd3 } from 'etcd3';
import type {
  ICompactionRequest,
  ICompactionResponse,
  ILeaseGrantRequest,
  ILeaseGrantResponse,
  IRangeRequest,
  IRangeResponse,
  ITxnRequest,
  ITxnResponse,
  IWatchRequest,
  IWatchResponse,
} from 'etcd3';

/** How etcd is reached. `tls` counts for `https://` endpoints only; without `ca` the system's authorities are trusted. */
export interface EtcdConnectionOptions {
  /** `http://host:port` or `https://host:port`; with several, whichever is connected is used and a failing one is passed over. */
  endpoints: readonly string[];
  tls?: { ca?: Buffer; cert?: Buffer; key?: Buffer };
  /** Longest that one call may take, connecting included. */
  requestTimeoutMs?: number;
}

/** gRPC status codes that the store tells apart (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const grpcStatus = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
};

/** A call that failed. `sent` is false only when the request certainly never left this process. */
export class EtcdCallError extends Error {
  override readonly name = 'EtcdCallError';
  readonly code: number;
  readonly sent: boolean;
  constructor(message: string, code: number, sent: boolean) {
    super(message);
    this.code = code;
    this.sent = sent;
  }
}

export interface WatchStream {
  write(request: IWatchRequest): void;
  cancel(): void;
  on(event: 'data', listener: (response: IWatchResponse) => void): unknown;
  on(event: 'error' | 'end', listener: () => void): unknown;
}

interface Calls {
  range: { request: IRangeRequest; response: IRangeResponse };
  txn: { request: ITxnRequest; response: ITxnResponse };
  compact: { request: ICompactionRequest; response: ICompactionResponse };
  leaseGrant: { request: ILeaseGrantRequest; response: ILeaseGrantResponse };
}
type Method = keyof Calls;
type Service = 'KV' | 'Lease' | 'Watch';

interface Metadata {
  clone(): Metadata;
  set(key: string, value: string): void;
}

type Methods = {
  [M in Method]: (
    request: Calls[M]['request'],
    metadata: Metadata,
    options: { deadline: number },
    callback: (error: { code?: number; message: string } | null, response: Calls[M]['response']) => void,
  ) => unknown;
} & { watch(metadata: Metadata): WatchStream };

type ServiceClient = Awaited<ReturnType<Endpoint['connect']>>['client'];
interface Handle {
  endpoint: Endpoint;
  client: ServiceClient;
  methods: Methods;
  metadata: Metadata;
}

const services: Record<Method, Service> = { range: 'KV', txn: 'KV', compact: 'KV', leaseGrant: 'Lease' };
const defaultRequestTimeoutMs = 5_000;
/** Covers a restart of etcd; longer, callers rather hear that it is away. */
const connectTimeoutMs = 2_000;
const reasonTimeoutMs = 200;
const readAttempts = 3;
const channelReady = 2;

const channelOptions = {
  // A page of large objects is far above gRPC's 4 MB.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A silent peer is noticed within 11 s. etcd drops clients that ping more often than every 5 s.
  'grpc.keepalive_time_ms': 6_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A write must never be sent twice behind our back.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};

/** Opens etcd3's own retries and circuit breakers up: only its channels, credentials and message definitions are used. */
class Endpoint extends Etcd3 {
  readonly #handles = new Map<Service, Promise<Handle>>();

  connect(service: Service) {
    return this.pool.withConnection(service, ({ client, metadata }) => ({ client, metadata }));
  }

  handle(service: Service): Promise<Handle> {
    const known = this.#handles.get(service);
    if (known !== undefined) return known;
    // etcd3 makes the methods at run time from its .proto files, so the types above are ours.
    const made = this.connect(service).then(({ client, metadata }) => ({
      endpoint: this,
      client,
      metadata,
      methods: client as unknown as Methods,
    }));
    this.#handles.set(service, made);
    return made;
  }
}

/** Calls to etcd, each with a deadline, none sent twice unless it only reads. */
export class EtcdConnection {
  readonly #endpoints: readonly Endpoint[];
  readonly #addresses: string;
  readonly #requestTimeoutMs: number;
  /** Index of the endpoint asked first; moves on when that one fails. */
  #preferred = 0;
  #closed = false;

  constructor(options: EtcdConnectionOptions) {
    if (options.endpoints.length === 0) throw new RangeError('an etcd store needs at least one endpoint');
    this.#endpoints = options.endpoints.map(
      (address) => new Endpoint({ hosts: address, grpcOptions: channelOptions, ...credentials(address, options) }),
    );
    this.#addresses = options.endpoints.join(', ');
    this.#requestTimeoutMs = options.requestTimeoutMs ?? defaultRequestTimeoutMs;
  }

  /** For calls that only read: tried again within the deadline when a connection breaks. */
  async read<M extends 'range'>(method: M, request: Calls[M]['request']): Promise<Calls[M]['response']> {
    const deadline = Date.now() + this.#requestTimeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#send(method, request, deadline);
      } catch (error) {
        const retriable = error instanceof EtcdCallError && error.sent && error.code === grpcStatus.unavailable;
        if (!retriable || attempt === readAttempts || Date.now() >= deadline) throw error;
      }
    }
  }

  /** For calls that change something: sent once at most. */
  write<M extends Method>(method: M, request: Calls[M]['request']): Promise<Calls[M]['response']> {
    return this.#send(method, request, Date.now() + this.#requestTimeoutMs);
  }

  /** A stream that etcd ends by itself when its member loses the leader (it would fall silent otherwise). */
  async openWatch(): Promise<WatchStream> {
    const { endpoint, methods, metadata } = await this.#ready('Watch', Date.now() + this.#requestTimeoutMs);
    const withLeader = metadata.clone();
    withLeader.set('hasleader', 'true');
    const stream = methods.watch(withLeader);
    stream.on('error', () => this.#passOver(endpoint));
    return stream;
  }

  close(): void {
    this.#closed = true;
    for (const endpoint of this.#endpoints) endpoint.close();
  }

  async #send<M extends Method>(method: M, request: Calls[M]['request'], deadline: number): Promise<Calls[M]['response']> {
    const { endpoint, methods, metadata } = await this.#ready(services[method], deadline);
    return new Promise((resolve, reject) => {
      methods[method](request, metadata, { deadline }, (error, response) => {
        if (error === null) {
          resolve(response);
          return;
        }
        const code = error.code ?? grpcStatus.unavailable;
        if (code === grpcStatus.unavailable || code === grpcStatus.deadlineExceeded) this.#passOver(endpoint);
        reject(new EtcdCallError(`etcd at ${this.#addresses}: ${error.message}`, code, true));
      });
    });
  }

  /** Lets the next calls go to another endpoint first: one that is connected may still be without a leader, or silent. */
  #passOver(endpoint: Endpoint): void {
    this.#preferred = (this.#endpoints.indexOf(endpoint) + 1) % this.#endpoints.length;
  }

  /** An endpoint with a live connection, so that what is sent next certainly was not sent when this fails. */
  async #ready(service: Service, deadline: number): Promise<Handle> {
    if (this.#closed) throw new EtcdCallError('the store was closed', grpcStatus.unavailable, false);
    const ordered = [...this.#endpoints.slice(this.#preferred), ...this.#endpoints.slice(0, this.#preferred)];
    const handles = await Promise.all(ordered.map((endpoint) => endpoint.handle(service)));
    const connected = handles.find(({ client }) => (client.getChannel().getConnectivityState(true) as number) === channelReady);
    if (connected !== undefined) return connected;
    const until = Math.min(deadline, Date.now() + connectTimeoutMs);
    try {
      return await Promise.any(handles.map((handle) => whenReady(handle, until)));
    } catch {
      throw new EtcdCallError(await this.#whyUnreachable(), grpcStatus.unavailable, false);
    }
  }

  /** gRPC keeps the reason (refused, a certificate) from those who wait for a connection; a read that cannot be sent is told at once. */
  async #whyUnreachable(): Promise<string> {
    const handle = await this.#endpoints[this.#preferred]?.handle('KV');
    if (this.#closed || handle === undefined) return 'the store was closed';
    const reason = await new Promise<string>((resolve) => {
      const deadline = Date.now() + reasonTimeoutMs;
      handle.methods.range({ key: Buffer.of(0), count_only: true }, handle.metadata, { deadline }, (error) => {
        resolve(error?.code === grpcStatus.unavailable ? `: ${error.message.replace(/\.? Resolution note:.*$/s, '')}` : '');
      });
    });
    return `etcd at ${this.#addresses} cannot be reached${reason}`;
  }
}

function whenReady(handle: Handle, until: number): Promise<Handle> {
  return new Promise((resolve, reject) => {
    handle.client.waitForReady(until, (error) => {
      if (error === undefined) resolve(handle);
      else reject(error);
    });
  });
}

function credentials(address: string, { tls }: EtcdConnectionOptions) {
  if (tls === undefined || !address.startsWith('https:')) return {};
  // etcd3's type asks for an authority, gRPC takes its own when there is none.
  const rootCertificate = tls.ca as Buffer;
  return {
    credentials: {
      rootCertificate,
      ...(tls.key === undefined ? {} : { privateKey: tls.key }),
      ...(tls.cert === undefined ? {} : { certChain: tls.cert }),
    },
  };
}
