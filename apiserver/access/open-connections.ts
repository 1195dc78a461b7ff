/** Which open connections were authenticated as whom, for users that may lose their place from one moment to the next. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Users that one connection is remembered for, as of programs that ask for many people; those with a request under way come besides. */
const mostUsers = 64;
/** How long an answer may still take that had not begun: a machine that takes itself out is to learn that it did. */
const answerMs = 500;

interface Answer extends Pick<ServerResponse, 'headersSent' | 'writableEnded'> {
  once(event: 'close', listener: () => void): unknown;
}

export class OpenConnections {
  readonly #byUser = new Map<string, Set<Socket>>();
  /** The users of each connection, with the answers that they wait for; who came last is last. */
  readonly #users = new Map<Socket, Map<string, Set<Answer>>>();

  /** A request of `user` came over the connection. */
  note(user: string, socket: Socket, response: Answer): void {
    // It broke while it was found out who asks.
    if (socket.destroyed) return;
    const users = this.#usersOf(socket);
    const answers = users.get(user) ?? new Set();
    users.delete(user);
    users.set(user, answers);
    const sockets = this.#byUser.get(user) ?? new Set();
    this.#byUser.set(user, sockets.add(socket));
    // A stream's user is looked at again and again.
    if (!answers.has(response)) response.once('close', () => answers.delete(response));
    answers.add(response);
    if (users.size > mostUsers) this.#forgetIdle(socket, users);
  }

  /** Ends every connection of the user: streams and idle ones at once, others when their answers are out. Answers how many there were. */
  cut(user: string): number {
    const sockets = [...(this.#byUser.get(user) ?? [])];
    for (const socket of sockets)
      end(
        socket,
        [...(this.#users.get(socket)?.values() ?? [])].flatMap((answers) => [...answers]),
      );
    return sockets.length;
  }

  #usersOf(socket: Socket): Map<string, Set<Answer>> {
    const known = this.#users.get(socket);
    if (known !== undefined) return known;
    const users = new Map<string, Set<Answer>>();
    this.#users.set(socket, users);
    socket.once('close', () => {
      this.#users.delete(socket);
      for (const user of users.keys()) this.#forget(user, socket);
    });
    return users;
  }

  /** Of the one that was idle longest nothing is under way, and its next request is looked at as every request is. */
  #forgetIdle(socket: Socket, users: Map<string, Set<Answer>>): void {
    for (const [user, answers] of users) {
      if (answers.size > 0) continue;
      users.delete(user);
      this.#forget(user, socket);
      return;
    }
  }

  #forget(user: string, socket: Socket): void {
    const sockets = this.#byUser.get(user);
    sockets?.delete(socket);
    if (sockets?.size === 0) this.#byUser.delete(user);
  }
}

function end(socket: Socket, answers: readonly Answer[]): void {
  const isStream = answers.some(({ headersSent, writableEnded }) => headersSent && !writableEnded);
  if (isStream || answers.length === 0) {
    socket.destroy();
    return;
  }
  let left = answers.length;
  for (const answer of answers) {
    answer.once('close', () => {
      left -= 1;
      if (left === 0) socket.destroySoon();
    });
  }
  const late = setTimeout(() => socket.destroy(), answerMs);
  socket.once('close', () => clearTimeout(late));
}
