/** Mocha's spec reporter that also writes how many tests passed and failed, for `tools/run-tests.ts` to add up. */
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

export interface TestCounts {
  passed: number;
  failed: number;
  /** Titles of those that failed, of hooks too. */
  failures: string[];
}

/** Names the environment variable that says where to write the counts. */
export const countsFileVariable = 'POTLUCK_TEST_COUNTS';

export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const counts: TestCounts = { passed: 0, failed: 0, failures: [] };
    runner.on('pass', () => {
      counts.passed += 1;
    });
    const fail = (test: Mocha.Runnable, why: string): void => {
      counts.failed += 1;
      counts.failures.push(`${test.fullTitle()}${why}`);
    };
    runner.on('fail', (test) => fail(test, ''));
    // A skipped test proves nothing; it is not counted as one that passed.
    runner.on('pending', (test) => fail(test, ' (skipped)'));
    runner.once('end', () => {
      const file = process.env[countsFileVariable];
      if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
    });
  }
}
