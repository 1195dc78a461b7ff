import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BootstrapError } from './errors.mjs';
import { findProgram } from './find-program.mjs';

/** The first Node that runs TypeScript as we write it, with everything else that we use. */
export const neededMajor = 24;

/**
 * The path of a Node that is new enough: the one that runs this, else the one that npm brought, else the system's.
 *
 * @param {string} root where package.json is
 * @returns {string}
 */
export function findNode(root) {
  const brought = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (existsSync(brought)) return brought;
  if (majorOf(process.versions.node) >= neededMajor) return process.execPath;
  const installed = findProgram('node');
  if (installed !== undefined && majorOf(versionOf(installed)) >= neededMajor) return installed;
  throw new BootstrapError(
    'NODE_TOO_OLD',
    `Node ${process.versions.node} is older than ${neededMajor}, and none was found in node_modules/node-linux-${process.arch}`,
    `Run npm ci in ${root}, or install Node ${neededMajor} or newer from https://nodejs.org`,
  );
}

/**
 * The environment for that Node. With a compile cache it reads each TypeScript file once and for all: a process starts in half the time and is
 * some 30 MB smaller, since the type stripper is not even loaded. Where the cache cannot be written Node does without it.
 *
 * @param {string} root
 * @returns {NodeJS.ProcessEnv}
 */
export function nodeEnvironment(root) {
  return { ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'potluck') };
}

/**
 * Fills the compile cache before the first start, so that it is not the one that pays: showing the help reads every program. A failure
 * costs nothing but that.
 *
 * @param {string} node
 * @param {string} root
 */
export function fillCompileCache(node, root) {
  const env = nodeEnvironment(root);
  if (existsSync(env.NODE_COMPILE_CACHE ?? '')) return;
  spawnSync(node, [join(root, 'cli/main.ts'), '--help'], { env, stdio: 'ignore', timeout: 30_000 });
}

/** @param {string} version */
function majorOf(version) {
  return Number.parseInt(version, 10);
}

/** @param {string} node */
function versionOf(node) {
  try {
    return execFileSync(node, ['--version'], { encoding: 'utf8', timeout: 5000 }).trim().replace(/^v/, '');
  } catch {
    return '0';
  }
}
