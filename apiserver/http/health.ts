import type { Answer } from './answer.ts';
import { answerWithText } from './answer.ts';

/** Rejects when something is wrong; the reason goes to the log, not to the client. */
export interface HealthCheck {
  name: string;
  check: () => Promise<void>;
}

export interface HealthChecks {
  /** Is the process worth keeping? */
  livez: readonly HealthCheck[];
  /** Can it answer requests? */
  readyz: readonly HealthCheck[];
}

const longestCheckMs = 3000;

/** Answers `/healthz`, `/livez`, `/readyz` and one check as `/readyz/NAME`; undefined for other paths. */
export async function answerHealth(
  path: string,
  query: URLSearchParams,
  checks: HealthChecks,
  onFailure: (check: string, error: unknown) => void,
): Promise<Answer | undefined> {
  const match = /^\/(healthz|livez|readyz)(?:\/([a-z-]+))?\/?$/u.exec(path);
  const endpoint = match?.[1];
  if (endpoint === undefined) return undefined;
  const all = [{ name: 'ping', check: () => Promise.resolve() }, ...(endpoint === 'livez' ? checks.livez : checks.readyz)];
  const chosen = match?.[2] === undefined ? all : all.filter((check) => check.name === match[2]);
  if (chosen.length === 0) return undefined;
  const results = await Promise.all(chosen.map((check) => run(check, onFailure)));
  const passed = results.every((result) => result.passed);
  if (passed && !query.has('verbose')) return answerWithText(200, 'ok');
  const lines = results.map(({ name, passed: one }) => (one ? `[+]${name} ok` : `[-]${name} failed: reason withheld`));
  return answerWithText(passed ? 200 : 500, `${lines.join('\n')}\n${endpoint} check ${passed ? 'passed' : 'failed'}\n`);
}

async function run(
  { name, check }: HealthCheck,
  onFailure: (check: string, error: unknown) => void,
): Promise<{ name: string; passed: boolean }> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`no answer within ${longestCheckMs} ms`));
  }, longestCheckMs);
  try {
    await Promise.race([check(), late]);
    return { name, passed: true };
  } catch (error) {
    onFailure(name, error);
    return { name, passed: false };
  } finally {
    clearTimeout(timer);
  }
}
