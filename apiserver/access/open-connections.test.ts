import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { OpenConnections } from './open-connections.ts';

const response = (): ServerResponse => new EventEmitter() as ServerResponse;

describe('OpenConnections', () => {
  it('ends the connections of one user, and of nobody else', () => {
    const connections = new OpenConnections();
    const [one, two, other] = [new Socket(), new Socket(), new Socket()];
    connections.note('ann', one, response());
    connections.note('ann', one, response());
    connections.note('ann', two, response());
    connections.note('bob', other, response());
    assert.equal(connections.cut('ann'), 2);
    assert.deepEqual([one.destroyed, two.destroyed, other.destroyed], [true, true, false]);
    assert.equal(connections.cut('nobody'), 0);
  });

  it('forgets connections that closed', async () => {
    const connections = new OpenConnections();
    const socket = new Socket();
    connections.note('ann', socket, response());
    socket.destroy();
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(connections.cut('ann'), 0);
    connections.note('ann', socket, response());
    assert.equal(connections.cut('ann'), 0, 'nor does it take one that is closed');
  });

  it('keeps of a connection with many users those with a request under way, and the latest', () => {
    const connections = new OpenConnections();
    const socket = new Socket();
    connections.note('busy', socket, response());
    for (let user = 0; user < 500; user += 1) {
      const done = response();
      connections.note(`user-${user}`, socket, done);
      done.emit('close');
    }
    assert.equal(connections.cut('user-0'), 0);
    assert.equal(connections.cut('user-499'), 1);
    assert.equal(connections.cut('busy'), 1);
  });
});
