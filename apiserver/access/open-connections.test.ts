import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { Socket } from 'node:net';
import { OpenConnections } from './open-connections.ts';

/** An answer; at first it has not begun. */
class Answer extends EventEmitter {
  headersSent = false;
  writableEnded = false;

  begin(): this {
    this.headersSent = true;
    return this;
  }

  finish(): void {
    this.headersSent = true;
    this.writableEnded = true;
    this.emit('close');
  }
}

describe('OpenConnections', () => {
  let connections: OpenConnections;
  beforeEach(() => {
    connections = new OpenConnections();
  });

  function done(): Answer {
    const answer = new Answer();
    queueMicrotask(() => answer.finish());
    return answer;
  }

  it('ends streams and idle connections of one user at once, and nothing of anybody else’s', async () => {
    const [stream, idle, other] = [new Socket(), new Socket(), new Socket()];
    connections.note('ann', stream, done());
    connections.note('ann', stream, new Answer().begin());
    connections.note('ann', idle, done());
    connections.note('bob', other, new Answer().begin());
    await Promise.resolve();
    assert.equal(connections.cut('ann'), 2);
    assert.deepEqual([stream.destroyed, idle.destroyed, other.destroyed], [true, true, false]);
    assert.equal(connections.cut('nobody'), 0);
  });

  it('lets an answer out that is under way, but does not wait for ever', async () => {
    const [quick, slow] = [new Socket(), new Socket()];
    const answer = new Answer();
    connections.note('ann', quick, answer);
    connections.note('ann', slow, new Answer());
    connections.cut('ann');
    assert.deepEqual([quick.destroyed, slow.destroyed], [false, false]);
    const startedAt = performance.now();
    answer.finish();
    await once(quick, 'close');
    await once(slow, 'close');
    assert.ok(performance.now() - startedAt < 1_500);
  });

  it('forgets connections that closed', async () => {
    const socket = new Socket();
    connections.note('ann', socket, done());
    socket.destroy();
    await once(socket, 'close');
    assert.equal(connections.cut('ann'), 0);
    connections.note('ann', socket, done());
    assert.equal(connections.cut('ann'), 0, 'nor does it take one that is closed');
  });

  it('keeps of a connection with many users those with a request under way, and the latest', () => {
    const socket = new Socket();
    connections.note('busy', socket, new Answer());
    for (let user = 0; user < 500; user += 1) {
      const answer = new Answer();
      connections.note(`user-${user}`, socket, answer);
      answer.finish();
    }
    assert.equal(connections.cut('user-0'), 0);
    assert.equal(connections.cut('user-499'), 1);
    assert.equal(connections.cut('busy'), 1);
    socket.destroy();
  });
});
