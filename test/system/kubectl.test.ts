import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { eventually } from '../support/eventually.ts';
import { instanceManifest } from '../support/manifests.ts';
import { startTestPool } from '../support/pool.ts';
import type { TestPool } from '../support/pool.ts';

describe('kubectl, as a user has it', function () {
  this.timeout(120_000);
  let pool: TestPool;
  before(async () => {
    pool = await startTestPool({ providers: [{ name: 'desktop', region: 'eu-west' }] });
  });
  after(async () => {
    await pool.stop();
  });

  async function ok(args: readonly string[], input = ''): Promise<string> {
    const answer = await pool.kubectl(args, { input });
    assert.equal(answer.code, 0, `kubectl ${args.join(' ')}: ${answer.stderr}`);
    return answer.stdout;
  }

  it('applies, waits for Ready, and shows where the instance runs', async () => {
    const manifest = JSON.stringify(instanceManifest('mine'));
    assert.match(await ok(['apply', '-f', '-'], manifest), /instance\.potluck\.dev\/mine created/);
    assert.match(await ok(['wait', '--for=condition=Ready', 'instance/mine', '--timeout=30s']), /condition met/);
    assert.match(await ok(['apply', '-f', '-'], manifest), /unchanged/);
    const table = await ok(['get', 'instances', '-o', 'wide']);
    const [head, row] = table.split('\n');
    assert.match(head ?? '', /^NAME +PHASE +PROVIDER +CPU +MEMORY +AGE +HOSTNAME +IMAGE/);
    assert.match(row ?? '', /^mine +Running +desktop +100m +32Mi +\d+s +default-desktop-\d+ +potluck-test\/busybox:1/);
  });

  it('describes the instance with its conditions and what happened to it', async () => {
    const text = await ok(['describe', 'instance', 'mine']);
    assert.match(text, /Provider Name: +desktop/);
    assert.match(text, /Reason: +Running/);
    assert.match(text, /Events:[\s\S]*Placed[\s\S]*desktop/);
  });

  it('shows the provider with what it has', async () => {
    assert.match(await ok(['get', 'providers']), /desktop +Ready +tests +eu-west/);
    assert.match(await ok(['get', 'providerinventories']), /desktop/);
  });

  it('stops and starts the instance by powerState, in the same container', async () => {
    const id = async (): Promise<string> => ok(['get', 'instance', 'mine', '-o', 'jsonpath={.status.containerID}']);
    const before = await id();
    await ok(['patch', 'instance', 'mine', '--type=merge', '-p', '{"spec":{"powerState":"Stopped"}}']);
    await pool.untilPhase('mine', 'Stopped');
    await ok(['patch', 'instance', 'mine', '--type=merge', '-p', '{"spec":{"powerState":"Running"}}']);
    await pool.untilPhase('mine', 'Running');
    assert.equal(await id(), before);
  });

  it('recreates the container when the command changes, and says so in an event first', async () => {
    const before = await ok(['get', 'instance', 'mine', '-o', 'jsonpath={.status.containerID}']);
    await ok(['patch', 'instance', 'mine', '--type=merge', '-p', '{"spec":{"command":["sleep","2000000"]}}']);
    const running = await pool.watchUntil(
      'mine',
      ({ status }) => status?.phase === 'Running' && status.containerID !== before && status.observedGeneration !== undefined,
      30_000,
    );
    assert.notEqual(running.status?.containerID, before);
    assert.match(await ok(['get', 'events', '--field-selector', 'involvedObject.name=mine']), /Recreating/);
  });

  it('watches, and deletes when the container is gone', async () => {
    const { uid } = (await pool.get('mine')).metadata;
    assert.ok((await pool.containers('desktop')).some((container) => container.instanceUid === uid));
    assert.match(await ok(['delete', 'instance', 'mine', '--wait', '--timeout=60s']), /deleted/);
    assert.ok(!(await pool.containers('desktop')).some((container) => container.instanceUid === uid));
  });

  it('runs a batch instance to Succeeded, and frees its place', async () => {
    await ok(['apply', '-f', '-'], JSON.stringify(instanceManifest('batch', { command: ['sh', '-c', 'exit 0'], restartPolicy: 'Never' })));
    await pool.untilPhase('batch', 'Succeeded');
    await eventually(
      async () => assert.equal(await ok(['get', 'providerreservation', 'desktop', '-o', 'jsonpath={.spec.reservations[*].amounts}']), '{}'),
      { timeoutMs: 10_000, what: 'what the batch reserved to be free again' },
    );
  });

  it('restarts with backoff what fails, and says CrashLoopBackOff', async () => {
    await ok(['apply', '-f', '-'], JSON.stringify(instanceManifest('crasher', { command: ['sh', '-c', 'exit 3'] })));
    const crashed = await pool.watchUntil('crasher', ({ status }) => (status?.restartCount ?? 0) >= 1, 60_000);
    assert.equal(crashed.status?.lastState?.terminated?.exitCode, 3);
    await ok(['delete', 'instance', 'crasher', '--timeout=60s']);
  });
});
