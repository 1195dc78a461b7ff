import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { countsFileVariable, type TestCounts } from './counting-reporter.ts';
import { checkTimeoutMs, type CheckStep, type MochaStep, type Step } from './steps.ts';

export interface StepResult {
  name: string;
  passed: number;
  failed: number;
  failures: string[];
  seconds: number;
}

export interface StepContext {
  root: string;
  /** Private to the run; becomes TMPDIR. */
  directory: string;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  /** More arguments for mocha, such as `--grep`. */
  mochaArguments: readonly string[];
}

/** Mocha must end by itself after its last test; a timer or a connection that nobody closed would keep it. */
const lingerMs = 15_000;

export async function runStep(step: Step, context: StepContext): Promise<StepResult> {
  const startMs = performance.now();
  const counts = step.kind === 'check' ? await runCheck(step, context) : await runMocha(step, context);
  return { name: step.name, ...counts, seconds: (performance.now() - startMs) / 1000 };
}

async function runCheck(step: CheckStep, context: StepContext): Promise<TestCounts> {
  const end = await run(step.command, step.args, context, checkTimeoutMs);
  return end === 0 ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [`${step.name}: ${describeEnd(end)}`] };
}

async function runMocha(step: MochaStep, context: StepContext): Promise<TestCounts> {
  if (globSync([...step.spec], { cwd: context.root }).length === 0) return oneFailure(`${step.name}: there is no test`);
  const countsFile = join(context.directory, `${step.name}.json`);
  const env = { ...context.env, [countsFileVariable]: countsFile };
  const args = [
    '--no-config',
    '--require',
    './test/support/toolbox-environment.mjs',
    '--timeout',
    '20000',
    '--reporter',
    './tools/test-run/counting-reporter.ts',
    ...context.mochaArguments,
  ];
  const end = await run('mocha', [...args, ...step.spec], { ...context, env }, step.timeoutMs, countsFile);
  const counts = await readCounts(countsFile);
  if (counts === undefined) return oneFailure(`${step.name}: mocha did not come to its end, ${describeEnd(end)}`);
  if (counts.passed + counts.failed === 0) return oneFailure(`${step.name}: no test ran`);
  if (counts.failed === 0 && end !== 0) return { ...counts, failed: 1, failures: [`${step.name}: ${describeEnd(end)}`] };
  return counts;
}

type End = number | 'late' | 'lingering' | 'interrupted';

/** Runs a command in a process group of its own, so that nothing of it outlives a timeout; output goes where ours goes. */
async function run(command: string, args: readonly string[], context: StepContext, timeoutMs: number, countsFile?: string): Promise<End> {
  const child = spawn(command, [...args], {
    cwd: context.root,
    env: { ...context.env },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  let why: End | undefined;
  const end = (reason: End): void => {
    if (why !== undefined || child.pid === undefined) return;
    why = reason;
    signalGroup(child.pid, 'SIGTERM');
    setTimeout(() => child.pid !== undefined && signalGroup(child.pid, 'SIGKILL'), 10_000).unref();
  };
  const onAbort = (): void => end('interrupted');
  context.signal.addEventListener('abort', onAbort);
  const timeout = setTimeout(() => end('late'), timeoutMs);
  const lingering = countsFile === undefined ? undefined : watchForLingering(countsFile, () => end('lingering'));
  try {
    return await new Promise<End>((resolve) => {
      child.once('error', (error) => {
        console.error(`${command}: ${error.message}`);
        resolve(127);
      });
      child.once('exit', (code) => resolve(why ?? code ?? 1));
    });
  } finally {
    clearTimeout(timeout);
    clearInterval(lingering);
    context.signal.removeEventListener('abort', onAbort);
  }
}

function watchForLingering(countsFile: string, onLingering: () => void): NodeJS.Timeout {
  let sinceMs: number | undefined;
  return setInterval(() => {
    void readCounts(countsFile).then((counts) => {
      if (counts === undefined) return;
      sinceMs ??= performance.now();
      if (performance.now() - sinceMs > lingerMs) onLingering();
    });
  }, 1000);
}

async function readCounts(file: string): Promise<TestCounts | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as TestCounts;
  } catch {
    return undefined;
  }
}

function describeEnd(end: End): string {
  if (end === 'late') return 'it took too long and was ended';
  if (end === 'lingering') return 'the tests were over and something still kept the process alive';
  return end === 'interrupted' ? 'it was interrupted' : `exit code ${end}`;
}

function oneFailure(what: string): TestCounts {
  return { passed: 0, failed: 1, failures: [what] };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}

export async function removeCounts(directory: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => rm(join(directory, `${name}.json`), { force: true })));
}
