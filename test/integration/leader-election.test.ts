import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';

const root = join(import.meta.dirname, '../..');
/** In the shape that the election wants: a leader that is not heard of loses the lead after 3 s. */
const times = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 300 };

describe('leader election on a real API server', function () {
  this.timeout(120_000);
  let api: TestApiServer;
  let folder: string;
  let candidates: ChildProcess[];

  before(async () => {
    api = await startTestApiServer({ installCrds: false });
  });
  after(() => api.stop());

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-election-'));
    await appendFile(join(folder, 'work'), '');
    candidates = [];
  });
  afterEach(async () => {
    for (const child of candidates) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(folder, { recursive: true });
  });

  /** A process that writes a line each 10 ms while it believes that it leads. */
  function startCandidate(identity: string, lease: string): ChildProcess {
    const source = `
      import { appendFileSync } from 'node:fs';
      import { createClient } from ${JSON.stringify(join(root, 'client/kube-client.ts'))};
      import { silentLogger } from ${JSON.stringify(join(root, 'runtime/logger.ts'))};
      import { runLeaderElection } from ${JSON.stringify(join(root, 'runtime/leader-election.ts'))};
      const client = createClient({ kubeconfig: ${JSON.stringify(api.kubeconfigPath)}, userAgent: 'potluck-test/1' });
      const lease = { namespace: 'potluck-system', name: ${JSON.stringify(lease)} };
      let working;
      const election = runLeaderElection({ client, lease, identity: '${identity}', logger: silentLogger, ...${JSON.stringify(times)},
        onStarted: () => { working = setInterval(() => {
          if (election.isLeader()) appendFileSync(${JSON.stringify(join(folder, 'work'))}, '${identity} ' + Date.now() + '\\n');
        }, 10); },
        onStopped: () => clearInterval(working),
      });
      process.on('SIGTERM', () => election.stop().then(() => process.exit(0)));
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'inherit', 'inherit'] });
    candidates.push(child);
    return child;
  }

  async function work(): Promise<{ who: string; atMs: number }[]> {
    const lines = (await readFile(join(folder, 'work'), 'utf8')).split('\n').filter((line) => line !== '');
    return lines.map((line) => ({ who: line.split(' ')[0]!, atMs: Number(line.split(' ')[1]) }));
  }

  const untilWorks = (who: string): Promise<void> =>
    eventually(
      async () => {
        assert.equal((await work()).at(-1)?.who, who);
      },
      { what: `${who} to lead`, timeoutMs: 30_000 },
    );

  /** Lines are appended in the order of time, so each leader's must stand together. */
  async function assertTerms(expected: readonly string[]): Promise<void> {
    const terms: string[] = [];
    for (const { who } of await work()) {
      if (terms.at(-1) !== who) terms.push(who);
    }
    assert.deepEqual(terms, expected);
  }

  it('lets another lead after the leader was killed, and never two', async () => {
    const a = startCandidate('a', 'killed');
    await untilWorks('a');
    startCandidate('b', 'killed');
    a.kill('SIGKILL');
    await untilWorks('b');
    startCandidate('c', 'killed');
    await assertTerms(['a', 'b']);
    const lines = await work();
    const last = lines.findLast(({ who }) => who === 'a')!.atMs;
    const first = lines.find(({ who }) => who === 'b')!.atMs;
    assert.ok(first - last >= times.renewDeadlineMs, `b led ${first - last} ms after a`);
  });

  it('lets another lead while the leader is frozen, which does nothing when it wakes', async () => {
    const a = startCandidate('a', 'frozen');
    await untilWorks('a');
    startCandidate('b', 'frozen');
    a.kill('SIGSTOP');
    await untilWorks('b');
    a.kill('SIGCONT');
    const count = (await work()).length;
    await eventually(async () => assert.ok((await work()).length > count + 100), { what: 'b to go on', timeoutMs: 30_000 });
    await assertTerms(['a', 'b']);
  });

  it('hands over at once when the leader stops', async () => {
    const a = startCandidate('a', 'stopped');
    await untilWorks('a');
    startCandidate('b', 'stopped');
    await eventually(() => api.kubectl(['get', 'lease', '-n', 'potluck-system', 'stopped']), { what: 'the lease', timeoutMs: 10_000 });
    a.kill('SIGTERM');
    await untilWorks('b');
    await assertTerms(['a', 'b']);
    assert.equal(a.exitCode, 0);
  });
});
