/** Progress for people: one line for each step, with the time that it took, and on a terminal a line that moves meanwhile. */

const heartbeatMs = 10_000;

/** @param {string} line */
export function say(line) {
  process.stdout.write(`${line}\n`);
}

/**
 * Runs a step that takes a while. `report` shows where it is; where there is no terminal, a line is printed every ten seconds at most.
 *
 * @template T
 * @param {string} label
 * @param {(report: (where: string) => void) => Promise<T>} step
 * @returns {Promise<T>}
 */
export async function withProgress(label, step) {
  const startMs = Date.now();
  const terminal = process.stdout.isTTY === true;
  const seconds = () => `${((Date.now() - startMs) / 1000).toFixed(1)} s`;
  let where = '';
  const show = () => {
    const line = `  … ${label}  ${where === '' ? '' : `${where}, `}${seconds()}`;
    process.stdout.write(terminal ? `\r\u001b[K${line.slice(0, (process.stdout.columns ?? 80) - 1)}` : `${line}\n`);
  };
  const timer = setInterval(show, terminal ? 500 : heartbeatMs);
  try {
    const result = await step((text) => {
      where = text;
    });
    if (terminal) process.stdout.write('\r\u001b[K');
    say(`✓ ${label}  ${seconds()}`);
    return result;
  } catch (error) {
    if (terminal) process.stdout.write('\r\u001b[K');
    say(`✗ ${label}  ${seconds()}`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
