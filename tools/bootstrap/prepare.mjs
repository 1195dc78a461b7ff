import { checkSystem, readSystem } from './check-system.mjs';
import { BootstrapError } from './errors.mjs';
import { installNpmPackages, npmPackagesAreInstalled } from './npm-packages.mjs';
import { findNode } from './node-runtime.mjs';
import { installSystemPackages, missingNeeds } from './system-packages.mjs';

/**
 * Makes a bare clone ready: checks the system, installs what is missing, and answers the path of a Node that is new enough. When all is there
 * this takes some milliseconds.
 *
 * @param {string} root where package.json is
 * @param {import('./system-packages.mjs').Script} script
 * @param {{ ownEngine: boolean }} options whether the pool's own container engine will run here
 * @returns {Promise<string>}
 */
async function prepare(root, script, { ownEngine }) {
  const missing = ownEngine ? missingNeeds(script) : [];
  checkSystem(readSystem(), script, missing);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    if (!npmPackagesAreInstalled(root)) await installNpmPackages(root, stop.signal);
    await installSystemPackages(missing, script, stop.signal);
    return findNode(root);
  } catch (error) {
    // The signal that the user sent is the reason then, whatever it broke.
    if (stop.signal.aborted) process.exit(130);
    throw error;
  } finally {
    process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal);
  }
}

/**
 * {@link prepare}, and one line and exit code 1 instead of an exception that a person can act on.
 *
 * @param {string} root
 * @param {import('./system-packages.mjs').Script} script
 * @param {{ ownEngine: boolean }} [options]
 */
export async function prepareOrExit(root, script, options = { ownEngine: true }) {
  try {
    return await prepare(root, script, options);
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    process.stderr.write(`${error.toString()}\n`);
    process.exit(1);
  }
}
