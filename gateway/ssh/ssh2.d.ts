/** What of the package the jump host uses; it brings no types of its own. */
declare module 'ssh2' {
  import type { EventEmitter } from 'node:events';
  import type { Server as NetServer, Socket } from 'node:net';
  import type { Duplex } from 'node:stream';

  export interface AuthContext {
    username: string;
    method: string;
    /** `publickey` only. */
    key?: { algo: string; data: Buffer };
    /** `sha256` or `sha512`, of RSA. */
    hashAlgo?: string;
    signature?: Buffer;
    /** What was signed. */
    blob?: Buffer;
    accept(): void;
    reject(methodsLeft?: string[], isPartial?: boolean): void;
  }

  export interface Channel extends Duplex {
    incoming: { window: number };
    close(): void;
  }

  export interface ForwardRequest {
    destIP: string;
    destPort: number;
    srcIP: string;
    srcPort: number;
  }

  export interface Connection extends EventEmitter {
    _sock: Socket;
    _protocol: { channelOpenFail(recipient: number, reason: number, description?: string): void };
    end(): void;
  }

  export interface ServerConfig {
    hostKeys: (string | Buffer)[];
    algorithms: Record<string, string[]>;
    ident?: string;
    keepaliveInterval?: number;
  }

  export class Server extends EventEmitter {
    constructor(config: ServerConfig, onConnection: (connection: Connection, info: { ip: string }) => void);
    listen(port: number, host: string, onListening: () => void): this;
    address(): { port: number } | null;
    close(onClosed?: () => void): this;
    injectSocket(socket: Socket): void;
    _srv: NetServer;
  }

  const ssh2: { Server: typeof Server };
  export default ssh2;
}
