/**
 * Programs in containers, and what they write, by Docker's API. Plain HTTP over its socket, and the socket itself once it is turned into a stream:
 * dockerode's streams lose what comes after the end of the input.
 */
import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Duplex, Readable } from 'node:stream';
import type { AttachStreams, ContainerAccess, ExecSpec, ExecState, LogRange, TerminalSize } from './container-access.ts';
import { classify } from './docker-call.ts';
import type { EngineError } from './engine.ts';

const callTimeoutMs = 30_000;
/** Docker lets go of a terminal at a sequence of keys, which cannot be none. Nobody types this one; its default is what shells go back by. */
const detachKeys = 'ctrl-^,ctrl-_,ctrl-^,ctrl-@';
const version = '/v1.41';

/** `socketPath` of dockerd; nothing is connected before the first call. */
export function createDockerAccess(socketPath: string): ContainerAccess {
  return new DockerAccess(socketPath);
}

class DockerAccess implements ContainerAccess {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async createExec(containerId: string, { command, env, stdin, stdout, stderr, tty }: ExecSpec): Promise<string> {
    const body = {
      Cmd: command,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      AttachStdin: stdin,
      AttachStdout: stdout,
      AttachStderr: stderr,
      Tty: tty,
      DetachKeys: detachKeys,
    };
    const { Id: id } = (await this.#call('POST', `/containers/${encodeURIComponent(containerId)}/exec`, body)) as { Id: string };
    return id;
  }

  startExec(execId: string, tty: boolean): Promise<Duplex> {
    return this.#hijack(`/exec/${execId}/start`, { Detach: false, Tty: tty });
  }

  async execState(execId: string): Promise<ExecState> {
    const state = (await this.#call('GET', `/exec/${execId}/json`)) as { Running: boolean; ExitCode: number | null; Pid: number };
    const { Running: running, ExitCode: exitCode, Pid: pid } = state;
    return { running, exitCode: running ? undefined : (exitCode ?? undefined), pid: pid === 0 ? undefined : pid };
  }

  async resizeExec(execId: string, { columns, rows }: TerminalSize): Promise<void> {
    await this.#call('POST', `/exec/${execId}/resize?h=${rows}&w=${columns}`);
  }

  attach(containerId: string, { stdin, stdout, stderr }: AttachStreams): Promise<Duplex> {
    const query = new URLSearchParams({ stream: '1', stdin: bit(stdin), stdout: bit(stdout), stderr: bit(stderr), detachKeys });
    return this.#hijack(`/containers/${encodeURIComponent(containerId)}/attach?${query.toString()}`);
  }

  async logs(containerId: string, { follow, sinceNanos, untilNanos, tail }: LogRange, signal: AbortSignal): Promise<Readable> {
    const query = new URLSearchParams({ stdout: '1', stderr: '1', timestamps: '1', follow: bit(follow), since: seconds(sinceNanos) });
    if (untilNanos !== undefined) query.set('until', seconds(untilNanos));
    if (tail !== undefined) query.set('tail', String(tail));
    const answer = await this.#send('GET', `/containers/${encodeURIComponent(containerId)}/logs?${query.toString()}`, undefined, signal);
    if (answer.statusCode !== 200) throw await failure(answer);
    return answer;
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await this.#send(method, path, body, AbortSignal.timeout(callTimeoutMs));
    if ((answer.statusCode ?? 500) >= 300) throw await failure(answer);
    const text = (await buffer(answer)).toString();
    return text === '' ? undefined : JSON.parse(text);
  }

  async #send(method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const json = body === undefined ? undefined : JSON.stringify(body);
    const headers = json === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
    const sent = request({ socketPath: this.#socketPath, method, path: version + path, headers, signal, agent: false });
    sent.on('response', resolve).on('error', reject).end(json);
    try {
      return await promise;
    } catch (error) {
      throw classify(error);
    }
  }

  /** The connection itself, once Docker has made it a stream. */
  async #hijack(path: string, body: object = {}): Promise<Duplex> {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const json = JSON.stringify(body);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(json),
      connection: 'Upgrade',
      upgrade: 'tcp',
    };
    // Our end is the end of a program's input, and not of what it has to say.
    const createConnection = (): Socket => connect({ path: this.#socketPath, allowHalfOpen: true });
    const sent = request({ method: 'POST', path: version + path, headers, createConnection });
    const late = setTimeout(() => sent.destroy(new Error('the container engine does not answer')), callTimeoutMs);
    sent
      .on('upgrade', (_answer, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      })
      .on('response', (answer) => void failure(answer).then(reject))
      .on('error', (error) => reject(classify(error)))
      .end(json);
    return promise.finally(() => clearTimeout(late));
  }
}

async function failure(answer: IncomingMessage): Promise<EngineError> {
  const text = (await buffer(answer)).toString();
  const { statusCode = 500 } = answer;
  let message = text.trim();
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message;
  } catch {
    // Then it is what it is.
  }
  return classify({ statusCode, message });
}

function bit(is: boolean): string {
  return is ? '1' : '0';
}

function seconds(nanos: bigint): string {
  return `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, '0')}`;
}
