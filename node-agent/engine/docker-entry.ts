/** Starts a program in a running container with its standard streams in our hands: how instances are entered. */
import { Duplex, Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import Docker from 'dockerode';
import { withDeadline } from './docker-call.ts';

export interface ContainerEntry {
  /** Of the program, as this machine counts; asked of the engine once it runs. */
  pid(): Promise<number>;
  /** To its standard input and from its standard output; either side may end by itself. */
  stream: Duplex;
}

export interface EntryOptions {
  containerId: string;
  command: readonly string[];
  /** Whom the image runs as when absent. */
  user?: string;
  /** Never throws. */
  onStderr: (chunk: Buffer) => void;
}

export interface EntryEngine {
  /** As whom the image runs. Rejects with an EngineError: `conflict` when the container does not run or is paused. */
  enter(options: EntryOptions): Promise<ContainerEntry>;
}

const callTimeoutMs = 20_000;

export function createEntryEngine(socketPath: string): EntryEngine {
  const docker = new Docker({ socketPath });
  return {
    enter: async ({ containerId, command, user, onStderr }) => {
      const exec = await withDeadline(callTimeoutMs, (abortSignal) =>
        docker.getContainer(containerId).exec({
          Cmd: [...command],
          AttachStdin: true,
          AttachStdout: true,
          AttachStderr: true,
          Tty: false,
          ...(user === undefined ? {} : { User: user }),
          abortSignal,
        }),
      );
      // Hijacked, it is the socket itself; otherwise dockerode's own stream would hold nothing back, and lose output after the end of input.
      const socket = await withDeadline(callTimeoutMs, () => exec.start({ hijack: true, stdin: true, Tty: false }));
      const pid = async (): Promise<number> => (await withDeadline(callTimeoutMs, (abortSignal) => exec.inspect({ abortSignal }))).Pid;
      return { pid, stream: unframed(socket, onStderr) };
    },
  };
}

const headerBytes = 8;
const stderrChannel = 2;

/** Input goes to the socket as it is; output is taken out of Docker's frames, and standard error told apart. */
function unframed(socket: Duplex, onStderr: (chunk: Buffer) => void): Duplex {
  const output = socket.pipe(new OutputReader(onStderr));
  // What a pipe does not pass on.
  socket.once('error', (error) => output.destroy(error));
  const both = Duplex.from({ readable: output, writable: socket });
  both.once('close', () => socket.destroy());
  // Whoever uses it sees it close; that it was cut is no news to who cut it.
  both.on('error', () => undefined);
  return both;
}

/** A byte for the channel, three zeros, four bytes of length (big endian), content. */
export class OutputReader extends Transform {
  readonly #onStderr: (chunk: Buffer) => void;
  #header = Buffer.alloc(0);
  #left = 0;
  #channel = 0;

  constructor(onStderr: (chunk: Buffer) => void) {
    super();
    this.#onStderr = onStderr;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (let rest = chunk; rest.length > 0;) rest = this.#left > 0 ? this.#content(rest) : this.#readHeader(rest);
    done();
  }

  #content(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left);
    this.#left -= part.length;
    if (this.#channel === stderrChannel) this.#onStderr(part);
    else this.push(part);
    return bytes.subarray(part.length);
  }

  #readHeader(bytes: Buffer): Buffer {
    const wanted = headerBytes - this.#header.length;
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, wanted)]);
    if (this.#header.length === headerBytes) {
      this.#channel = this.#header[0] ?? 0;
      this.#left = this.#header.readUInt32BE(4);
      this.#header = Buffer.alloc(0);
    }
    return bytes.subarray(wanted);
  }
}
