import assert from 'node:assert/strict';
import { silentLogger } from '../../runtime/logger.ts';
import { readMachine } from './machine.ts';
import { MachineWatch } from './machine-watch.ts';

it('MachineWatch tells of a change, once, goes on after a failure, and keeps what it knew', async () => {
  const machine = await readMachine('/');
  const more = { ...machine, memoryBytes: machine.memoryBytes * 2 };
  const answers = [machine, new Error('away'), more, more, machine];
  const told = Promise.withResolvers<undefined>();
  const seen: number[] = [];
  let reads = 0;
  const watch: MachineWatch = new MachineWatch({
    machine,
    read: () => {
      const answer = answers[Math.min(reads, answers.length - 1)] ?? machine;
      reads += 1;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(structuredClone(answer));
    },
    onChange: () => {
      seen.push(watch.machine.memoryBytes);
      if (seen.length === 2) told.resolve(undefined);
    },
    logger: silentLogger,
    intervalMs: 1,
  });
  await told.promise;
  await watch.stop();
  assert.deepEqual(seen, [more.memoryBytes, machine.memoryBytes]);
});
