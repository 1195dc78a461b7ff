/** What the gate consists of. */

export interface CheckStep {
  kind: 'check';
  name: string;
  command: string;
  args: readonly string[];
}

export interface MochaStep {
  kind: 'mocha';
  name: string;
  spec: readonly string[];
  /** For the whole group, milliseconds. */
  timeoutMs: number;
}

export type Step = CheckStep | MochaStep;

const minute = 60_000;
const node = process.execPath;

export const checkTimeoutMs = 10 * minute;

const checks: readonly CheckStep[] = [
  { kind: 'check', name: 'types', command: 'tsc', args: ['-p', '.'] },
  { kind: 'check', name: 'lint', command: 'eslint', args: ['.', '--max-warnings', '0'] },
  { kind: 'check', name: 'format', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { kind: 'check', name: 'generated', command: node, args: ['tools/generate-types.ts', '--check'] },
  { kind: 'check', name: 'layers', command: node, args: ['tools/lint/layers.ts'] },
  { kind: 'check', name: 'dead-code', command: 'knip', args: ['--no-progress', '--treat-config-hints-as-errors'] },
];

const unitSpec = ['{api,client,runtime,apiserver,controller,node-agent,cli,tools,bench}/**/*.test.ts'];

const groups: readonly MochaStep[] = [
  { kind: 'mocha', name: 'unit', spec: unitSpec, timeoutMs: 10 * minute },
  { kind: 'mocha', name: 'contract', spec: ['test/contract/**/*.test.ts'], timeoutMs: 15 * minute },
  { kind: 'mocha', name: 'integration', spec: ['test/integration/**/*.test.ts'], timeoutMs: 30 * minute },
  { kind: 'mocha', name: 'system', spec: ['test/system/**/*.test.ts'], timeoutMs: 30 * minute },
  { kind: 'mocha', name: 'faults', spec: ['test/faults/**/*.test.ts'], timeoutMs: 30 * minute },
];

const allSteps: readonly Step[] = [...checks, ...groups];

/** Names by which steps are chosen; `checks` is all that is not a group of tests. */
export const stepNames: readonly string[] = [...allSteps.map((step) => step.name), 'checks'];

/** The steps that were asked for, in the order of the gate; all when nothing was. Answers the names that do not exist instead, if any. */
export function chooseSteps(names: readonly string[]): { steps: readonly Step[] } | { unknown: readonly string[] } {
  const unknown = names.filter((name) => !stepNames.includes(name));
  if (unknown.length > 0) return { unknown };
  if (names.length === 0) return { steps: allSteps };
  return { steps: allSteps.filter((step) => names.includes(step.name) || (step.kind === 'check' && names.includes('checks'))) };
}
