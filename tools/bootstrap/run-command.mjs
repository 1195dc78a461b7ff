import { spawn } from 'node:child_process';

const keptLines = 40;

/**
 * @typedef {object} CommandResult
 * @property {number} code the exit code; 124 when it took too long, 127 when there is no such command
 * @property {string[]} lines the last lines that it wrote, to standard output and error together
 */

/**
 * Runs a command to its end, in a process group of its own, so that Ctrl-C does not reach it: what must not be torn down midway (dpkg) ends in
 * its own time, and what may be is ended by `signal`.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {object} options
 * @param {number} options.timeoutMs it is killed after this long
 * @param {AbortSignal} [options.signal] kills it at once
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {string} [options.cwd]
 * @param {(line: string) => void} [options.onLine] gets each line as it comes
 * @returns {Promise<CommandResult>}
 */
export function runCommand(command, args, options) {
  return new Promise((resolve) => {
    /** @type {string[]} */
    const lines = [];
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let timedOut = false;
    const kill = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', kill, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8');
      stream.on('data', (/** @type {string} */ chunk) => {
        const parts = (rest + chunk).split(/[\r\n]+/);
        rest = (parts.pop() ?? '').slice(-4096);
        for (const line of parts) {
          if (line.trim() === '') continue;
          lines.push(line);
          if (lines.length > keptLines) lines.shift();
          options.onLine?.(line);
        }
      });
      stream.on('end', () => {
        if (rest.trim() !== '') lines.push(rest);
      });
    }
    const finish = (/** @type {number} */ code) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', kill);
      resolve({ code: timedOut ? 124 : code, lines });
    };
    child.on('error', (error) => {
      lines.push(error.message);
      finish(127);
    });
    child.on('close', (code) => finish(code ?? 1));
  });
}

/**
 * The lines in which a command says what went wrong, as one.
 * @param {CommandResult} result
 */
export function complaintOf(result) {
  const complaints = result.lines.filter((line) => /^(E:|npm (error|ERR!) \S|error)/i.test(line));
  const shown = (complaints.length > 0 ? complaints.slice(0, 4) : result.lines.slice(-3)).map((line) => line.trim());
  if (result.code === 124) shown.unshift('it took too long');
  return shown.join('; ').slice(0, 600) || `exit code ${result.code}`;
}
