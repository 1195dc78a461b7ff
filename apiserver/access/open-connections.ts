/** Which open connections were authenticated as whom, for users that may lose their place from one moment to the next. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Users that one connection is remembered for, as of programs that ask for many people; those with a request under way come besides. */
const mostUsers = 64;

export class OpenConnections {
  readonly #byUser = new Map<string, Set<Socket>>();
  /** The users of each connection, with the number of their requests that are under way; who came last is last. */
  readonly #users = new Map<Socket, Map<string, number>>();

  /** A request of `user` came over the connection. */
  note(user: string, socket: Socket, response: ServerResponse): void {
    // It broke while it was found out who asks.
    if (socket.destroyed) return;
    const users = this.#usersOf(socket);
    const active = users.get(user) ?? 0;
    users.delete(user);
    users.set(user, active + 1);
    const sockets = this.#byUser.get(user) ?? new Set();
    sockets.add(socket);
    this.#byUser.set(user, sockets);
    response.once('close', () => {
      const count = users.get(user);
      if (count !== undefined) users.set(user, count - 1);
    });
    if (users.size > mostUsers) this.#forgetIdle(socket, users);
  }

  /** Ends every connection of the user, with all that is under way. Answers how many there were. */
  cut(user: string): number {
    const sockets = [...(this.#byUser.get(user) ?? [])];
    for (const socket of sockets) socket.destroy();
    return sockets.length;
  }

  #usersOf(socket: Socket): Map<string, number> {
    const known = this.#users.get(socket);
    if (known !== undefined) return known;
    const users = new Map<string, number>();
    this.#users.set(socket, users);
    socket.once('close', () => {
      this.#users.delete(socket);
      for (const user of users.keys()) this.#forget(user, socket);
    });
    return users;
  }

  /** Of the one that was idle longest nothing is under way, and its next request is looked at as every request is. */
  #forgetIdle(socket: Socket, users: Map<string, number>): void {
    for (const [user, active] of users) {
      if (active > 0) continue;
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
