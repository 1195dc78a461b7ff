import assert from 'node:assert/strict';
import fc from 'fast-check';
import { leases } from '../api/resource-type.ts';
import type { Client } from '../client/client.ts';
import { createFakeClient } from './fake-client.ts';
import type { FakeClient } from './fake-client.ts';
import { createFakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { runLeaderElection } from './leader-election.ts';
import type { LeaderElection, LeaderElectionOptions } from './leader-election.ts';
import { silentLogger } from './logger.ts';

const lease = { namespace: 'potluck-system', name: 'controller' };

/** Lets every promise that can go on do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(clock: FakeClock, ms: number, stepMs = 250): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    clock.advance(stepMs);
    await settle();
  }
}

interface Candidate {
  election: LeaderElection;
  log: string[];
  /** Between onStarted and the end of onStopped. */
  isWorking: () => boolean;
  network: { isDown: boolean };
}

describe('the leader election', () => {
  let server: FakeClient;
  let clock: FakeClock;
  let candidates: Candidate[];

  beforeEach(() => {
    server = createFakeClient();
    clock = createFakeClock();
    candidates = [];
  });

  afterEach(async () => {
    for (const { network } of candidates) network.isDown = false;
    const stopped = Promise.all(candidates.map(({ election }) => election.stop()));
    await pass(clock, 20_000, 1000);
    await stopped;
  });

  function join(identity: string, options: Partial<LeaderElectionOptions> = {}): Candidate {
    const network = { isDown: false };
    const log: string[] = [];
    let isWorking = false;
    const candidate = {
      log,
      network,
      isWorking: () => isWorking,
      election: runLeaderElection({
        client: overNetwork(server, network),
        lease,
        identity,
        logger: silentLogger,
        clock,
        random: () => 0,
        onStarted: ({ leaseTransitions }) => {
          isWorking = true;
          log.push(`started ${leaseTransitions}`);
        },
        onStopped: (reason) => {
          isWorking = false;
          log.push(`stopped: ${reason}`);
        },
        onOverrun: () => log.push('overrun'),
        ...options,
      }),
    };
    candidates.push(candidate);
    return candidate;
  }

  it('makes one of two candidates the leader and keeps it so while it renews', async () => {
    const [a, b] = [join('a'), join('b')];
    await pass(clock, 60_000);
    assert.equal([a, b].filter(({ election }) => election.isLeader()).length, 1);
    assert.equal(a.log.length + b.log.length, 1);
    assert.equal(a.election.leader, b.election.leader);
  });

  it('hands over at once when the leader stops, after its work stopped', async () => {
    const a = join('a');
    await pass(clock, 500);
    const b = join('b');
    await pass(clock, 5000);
    assert.deepEqual([a.isWorking(), b.isWorking()], [true, false]);
    await a.election.stop();
    assert.deepEqual(a.log, ['started 0', 'stopped: given up']);
    assert.equal(server.objects(leases)[0]?.spec.holderIdentity, '');
    await pass(clock, 2500);
    assert.deepEqual(b.log, ['started 1']);
  });

  it('goes on renewing while the work of a leader that gives up takes its time', async () => {
    const end = Promise.withResolvers<undefined>();
    const a = join('a', { onStopped: () => end.promise.then(() => undefined) });
    await pass(clock, 500);
    const b = join('b');
    const stopped = a.election.stop();
    await pass(clock, 60_000);
    assert.deepEqual([b.isWorking(), a.log], [false, ['started 0']]);
    end.resolve(undefined);
    await stopped;
    await pass(clock, 2500);
    assert.ok(b.isWorking());
  });

  it('stops a leader that cannot renew before another can take the lease', async () => {
    const a = join('a');
    await pass(clock, 500);
    const b = join('b');
    await pass(clock, 4000);
    a.network.isDown = true;
    await pass(clock, 12_000);
    assert.deepEqual(
      [a.election.isLeader(), a.log.at(-1), b.isWorking()],
      [false, 'stopped: the lease could not be renewed in time', false],
    );
    await pass(clock, 8000);
    assert.deepEqual([a.isWorking(), b.log], [false, ['started 1']]);
  });

  it('counts its lead from the sending of a renewal, not from its answer', async () => {
    const a = join('a');
    await pass(clock, 1900);
    const slow = Promise.withResolvers<undefined>();
    server.gate = slow.promise.then(() => undefined);
    // Sent at 2 s, answered at 6 s: the lead ends at 12 s, as a candidate may count from just after 2 s.
    await pass(clock, 4100, 100);
    slow.resolve(undefined);
    server.gate = undefined;
    await settle();
    a.network.isDown = true;
    await pass(clock, 5500);
    assert.equal(a.election.isLeader(), true);
    await pass(clock, 1000);
    assert.equal(a.election.isLeader(), false);
  });

  it('says that the work of a lost leader overran when it does not stop before the lease can be taken', async () => {
    const end = Promise.withResolvers<undefined>();
    const a = join('a', { onStopped: () => end.promise.then(() => undefined) });
    await pass(clock, 500);
    a.network.isDown = true;
    await pass(clock, 14_000);
    assert.deepEqual(a.log, ['started 0']);
    await pass(clock, 2500);
    assert.deepEqual(a.log, ['started 0', 'overrun']);
    end.resolve(undefined);
  });

  it('is no leader any more after a sleep, before any timer fires', async () => {
    const a = join('a');
    await pass(clock, 500);
    assert.equal(a.election.isLeader(), true);
    // The machine slept: only the wall clock went on.
    const wakingMs = clock.nowMs() + 3_600_000;
    clock.nowMs = () => wakingMs;
    assert.equal(a.election.isLeader(), false);
  });

  it('gives the lead up when the work cannot start', async () => {
    let isBroken = true;
    const a = join('a', {
      onStarted: () => (isBroken ? Promise.reject(new Error('no informer')) : undefined),
    });
    await pass(clock, 500);
    assert.deepEqual(a.log, ['stopped: its work could not start']);
    assert.equal(server.objects(leases)[0]?.spec.holderIdentity, '');
    isBroken = false;
    await pass(clock, 3000);
    assert.equal(a.election.isLeader(), true);
  });

  it('refuses times that do not protect', () => {
    assert.throws(() => runLeaderElection({ ...candidateOptions(), renewDeadlineMs: 15_000, leaseDurationMs: 15_000 }), RangeError);
  });

  function candidateOptions(): LeaderElectionOptions {
    return { client: server, lease, identity: 'x', logger: silentLogger, clock, onStarted: () => undefined, onStopped: () => undefined };
  }

  it('never has two leaders, whoever is cut off for however long, and has one again afterwards', async () => {
    const fault = fc.record({ who: fc.integer({ min: 0, max: 2 }), isDown: fc.boolean(), forMs: fc.integer({ min: 250, max: 20_000 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 12 }), async (faults) => {
        const own = [join('a'), join('b'), join('c')];
        const check = (): void => {
          assert.ok(own.filter(({ election }) => election.isLeader()).length <= 1, 'two lead');
          assert.ok(own.filter(({ isWorking }) => isWorking()).length <= 1, 'two work');
        };
        for (const { who, isDown, forMs } of faults) {
          own[who]!.network.isDown = isDown;
          for (let passed = 0; passed < forMs; passed += 500) {
            await pass(clock, 500, 500);
            check();
          }
        }
        for (const { network } of own) network.isDown = false;
        await pass(clock, 30_000, 1000);
        assert.equal(own.filter(({ isWorking }) => isWorking()).length, 1);
        const stopped = Promise.all(own.map(({ election }) => election.stop()));
        await pass(clock, 1000);
        await stopped;
        candidates = [];
        assert.ok(own.every(({ log }) => !log.includes('overrun')));
      }),
      { numRuns: 12 },
    );
  }).timeout(60_000);
});

/** The same server, reached over a line that may be down. */
function overNetwork(server: FakeClient, network: { isDown: boolean }): Client {
  return new Proxy<Client>(server, {
    get: (target, name, receiver) => {
      const method = Reflect.get(target, name, receiver) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        if (network.isDown) throw new Error('the line is down');
        return method.apply(target, args);
      };
    },
  });
}
