/** Connects to ports of instances from within their network namespaces, by one small process for each instance while it is in use. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { ObservedContainer } from '../engine/engine.ts';

/** `code` as of a socket, or `EGONE` when the container is not what it was, `EBUSY` when too many are in use. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const program = join(import.meta.dirname, 'port-connector-process.ts');
/** A process that does next to nothing. */
const nodeFlags = ['--max-semi-space-size=1', '--max-old-space-size=32'];
const idleMs = 30_000;
const mostConnectors = 32;
const answerTimeoutMs = 12_000;

export class PortConnectors {
  readonly #connectors = new Map<string, Promise<Connector>>();

  /** A connection to a port of the instance, which may be closed on each side by itself. @throws {PortError} */
  async connect(container: Pick<ObservedContainer, 'id' | 'pid'>, port: number): Promise<Socket> {
    const { id, pid } = container;
    if (pid === undefined) throw new PortError('EGONE', 'the container does not run');
    const key = `${id} ${pid}`;
    const known = this.#connectors.get(key);
    if (known !== undefined) return (await known).connect(port);
    if (this.#connectors.size >= mostConnectors) throw new PortError('EBUSY', 'ports of too many instances are in use');
    const starting = startConnector(id, pid);
    this.#connectors.set(key, starting);
    const forget = (): void => void this.#connectors.delete(key);
    starting.then((connector) => connector.whenOver.then(forget), forget);
    return (await starting).connect(port);
  }

  /** Ends the processes; connections that were made go on. */
  async stop(): Promise<void> {
    for (const starting of this.#connectors.values()) {
      const connector = await starting.catch(() => undefined);
      connector?.end();
      await connector?.whenOver;
    }
  }
}

async function startConnector(containerId: string, pid: number): Promise<Connector> {
  const namespace = await openNamespace(containerId, pid);
  try {
    const args = ['--net=/proc/self/fd/4', process.execPath, ...nodeFlags, program];
    const child = spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc', namespace.fd], cwd: '/' });
    return new Connector(child);
  } finally {
    await namespace.close();
  }
}

/** The kernel may have given the number of a process that ended to another one: what was opened is the container's only if it is there afterwards too. */
async function openNamespace(containerId: string, pid: number): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(`/proc/${pid}/ns/net`, 'r');
    if ((await readFile(`/proc/${pid}/cgroup`, 'utf8')).includes(containerId)) return handle;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      await handle?.close();
      throw error;
    }
  }
  await handle?.close();
  throw new PortError('EGONE', 'the container ended just now');
}

interface Answer {
  id: number;
  failure?: string;
}

class Connector {
  readonly whenOver: Promise<void>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (socket: Socket) => void; reject: (error: Error) => void; timer: NodeJS.Timeout }>();
  #nextId = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.whenOver = new Promise((resolve) => {
      const over = (): void => {
        clearTimeout(this.#idle);
        for (const [id] of this.#waiting) this.#settle(id, undefined, 'EGONE');
        resolve();
      };
      child.once('exit', over);
      child.once('error', over);
    });
    child.on('message', (answer: Answer, socket) => this.#settle(answer.id, socket as Socket | undefined, answer.failure ?? 'EIO'));
    // Neither keeps the agent from ending.
    child.unref();
    child.channel?.unref();
  }

  connect(port: number): Promise<Socket> {
    clearTimeout(this.#idle);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, undefined, 'ETIMEDOUT'), answerTimeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#child.send({ id, port }, (error) => {
        if (error !== null) this.#settle(id, undefined, 'EGONE');
      });
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  #settle(id: number, socket: Socket | undefined, failure: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      socket?.destroy();
      return;
    }
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) {
      this.#idle = setTimeout(() => this.end(), idleMs);
      this.#idle.unref();
    }
    if (socket === undefined) {
      waiting.reject(new PortError(failure, `the port cannot be connected to: ${failure}`));
      return;
    }
    socket.allowHalfOpen = true;
    waiting.resolve(socket);
  }
}
