/**
 * The gate behind `npm test`: checks, then every group of tests, one after the other, then whether anything was left behind.
 * `npm test -- unit layers` runs only those; what follows a second `--` goes to mocha. The last line is `N passed, N failed`.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findLeftovers, readSurroundings, runVariable } from './test-run/leftovers.ts';
import { removeCounts, runStep, type StepResult } from './test-run/run-step.ts';
import { chooseSteps, stepNames, type Step } from './test-run/steps.ts';

const root = join(import.meta.dirname, '..');

function parseArguments(args: readonly string[]): { steps: readonly Step[]; mochaArguments: readonly string[] } | string {
  const separator = args.indexOf('--');
  const names = separator === -1 ? args : args.slice(0, separator);
  const chosen = chooseSteps(names);
  if ('unknown' in chosen) return `there is no ${chosen.unknown.join(', ')}; choose among ${stepNames.join(', ')}`;
  return { steps: chosen.steps, mochaArguments: separator === -1 ? [] : args.slice(separator + 1) };
}

function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  return stop.signal;
}

async function runAll(steps: readonly Step[], mochaArguments: readonly string[], signal: AbortSignal): Promise<StepResult[]> {
  const run = randomUUID();
  // Short, because the paths of sockets are made below it and are bounded to 107 bytes.
  const directory = await mkdtemp('/tmp/plk-');
  const env = {
    ...process.env,
    PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
    TMPDIR: directory,
    // Some tools would put their compiled code into TMPDIR.
    NODE_DISABLE_COMPILE_CACHE: '1',
    [runVariable]: run,
  };
  const results: StepResult[] = [];
  try {
    const before = await readSurroundings();
    for (const step of steps) {
      if (signal.aborted) break;
      console.log(`\n── ${step.name}`);
      const result = await runStep(step, { root, directory, env, signal, mochaArguments });
      results.push(result);
      console.log(`${result.failed === 0 ? '✓' : '✗'} ${step.name}  ${result.seconds.toFixed(1)} s`);
    }
    await removeCounts(
      directory,
      steps.map((step) => step.name),
    );
    if (steps.some((step) => step.kind === 'mocha')) results.push(await checkLeftovers(run, directory, before));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return results;
}

async function checkLeftovers(...args: Parameters<typeof findLeftovers>): Promise<StepResult> {
  const failures = (await findLeftovers(...args)).map((line) => `left behind: ${line}`);
  return { name: 'leftovers', passed: failures.length === 0 ? 1 : 0, failed: failures.length, failures, seconds: 0 };
}

function printSummary(results: readonly StepResult[], interrupted: boolean): boolean {
  console.log('');
  for (const { name, passed, failed, failures, seconds } of results) {
    console.log(
      `${name.padEnd(12)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed ${seconds.toFixed(1).padStart(7)} s`,
    );
    for (const failure of failures) console.log(`    ✗ ${failure}`);
  }
  if (interrupted) console.log('interrupted');
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0 && !interrupted;
}

const chosen = parseArguments(process.argv.slice(2));
if (typeof chosen === 'string') {
  console.error(chosen);
  process.exitCode = 2;
} else {
  const signal = abortOnSignals();
  const results = await runAll(chosen.steps, chosen.mochaArguments, signal);
  process.exitCode = printSummary(results, signal.aborted) ? 0 : 1;
}
