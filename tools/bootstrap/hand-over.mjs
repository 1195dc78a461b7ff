import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Goes on as another program: in this very process where Node can do that, so that signals, the terminal and the exit code are its own; else
 * as a child to which signals are passed on and whose exit code becomes ours.
 *
 * @param {string} command an absolute path
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
export function handOver(command, args, env = process.env) {
  if (typeof process.execve === 'function') {
    // Warns that it is experimental; whoever reads our output cannot do anything about that.
    process.emitWarning = () => undefined;
    process.execve(command, [command, ...args], definedOnly(env));
  }
  const child = spawn(command, args, { stdio: 'inherit', env });
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']);
  for (const signal of signals) {
    // Ctrl-C on a terminal reaches the child by itself.
    process.on(signal, () => {
      if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`${command}: ${error.message}\n`);
    process.exit(127);
  });
  child.on('exit', (code, signal) => {
    process.exit(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0));
  });
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string>}
 */
function definedOnly(env) {
  return Object.fromEntries(Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}
