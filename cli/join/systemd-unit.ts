/** The agent as a service of the machine: it starts with it, without anyone at a terminal. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { readIfThere, writeFileAtomically } from '../../apiserver/access/write-file.ts';
import { UserError } from '../../api/errors.ts';
import { main, smallHeap } from '../up/own-processes.ts';

const root = join(import.meta.dirname, '../..');
const template = join(root, 'manifests/systemd/potluck-agent.service');
const unitName = 'potluck-agent.service';
const unitFile = `/etc/systemd/system/${unitName}`;
const systemctlTimeoutMs = 60_000;

/** The text of the unit that runs the agent of `home`. */
export async function formatUnit(home: string): Promise<string> {
  const command = [process.execPath, ...smallHeap, main, 'agent', '--home', home];
  const cache = process.env['NODE_COMPILE_CACHE'] ?? join(root, 'node_modules/.cache/potluck');
  const words: Readonly<Record<string, string>> = {
    ROOT: root.replaceAll('%', '%%').replaceAll(' ', '%%20'),
    COMMAND: command.map((word) => quote(word.replaceAll('$', '$$$$'))).join(' '),
    ENVIRONMENT: [`NODE_COMPILE_CACHE=${cache}`, `PATH=${process.env['PATH'] ?? ''}`].map(quote).join(' '),
  };
  return (await readFile(template, 'utf8')).replaceAll(/@([A-Z]+)@/g, (_, name: string) => words[name] ?? '');
}

/** systemd.syntax(7): double quotes with C's escapes; `%` begins a specifier. */
function quote(word: string): string {
  return `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;
}

/** Throws UserError where a service could not be installed; to be asked before anything is done. */
export async function requireSystemd(home: string): Promise<void> {
  if (!existsSync('/run/systemd/system')) {
    const remedy = 'Leave --install out, and have what starts services here run potluck agent';
    throw new UserError('UNSUPPORTED_SYSTEM', 'systemd does not run on this machine, and --install is for it', remedy);
  }
  if (process.getuid?.() !== 0)
    throw new UserError('NOT_ROOT', 'a service is installed by root', 'Run it with sudo, or leave --install out');
  const known = await readIfThere(unitFile);
  if (known === undefined || isOf(known, home)) return;
  const remedy = 'Leave that pool first (potluck leave --home …), or run this one without --install';
  throw new UserError('ALREADY_JOINED', `${unitFile} runs the agent of another home`, remedy);
}

/** Writes the unit, enables it and starts it (anew, if it runs). */
export async function installUnit(home: string): Promise<void> {
  await mkdir(dirname(unitFile), { recursive: true });
  await writeFileAtomically(unitFile, await formatUnit(home), 0o644);
  await systemctl('daemon-reload');
  await systemctl('enable', unitName);
  await systemctl('restart', unitName);
}

/** Stops, disables and removes the unit, if it is of this home. Answers whether there was one. */
export async function removeUnit(home: string): Promise<boolean> {
  const known = await readIfThere(unitFile);
  if (known === undefined || !isOf(known, home)) return false;
  const runs = existsSync('/run/systemd/system');
  if (runs) await systemctl('disable', '--now', unitName);
  await rm(unitFile, { force: true });
  if (runs) await systemctl('daemon-reload');
  return true;
}

function isOf(unit: string, home: string): boolean {
  return unit.includes(` "--home" ${quote(home.replaceAll('$', '$$$$'))}\n`);
}

async function systemctl(...args: string[]): Promise<void> {
  try {
    await promisify(execFile)('systemctl', args, { timeout: systemctlTimeoutMs });
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const why = stderr.trim().split('\n')[0] ?? '';
    const what = `systemctl ${args.join(' ')} failed: ${why === '' ? (error as Error).message : why}`;
    throw new UserError('UNSUPPORTED_SYSTEM', what, `journalctl -u ${unitName} says more`, { cause: error });
  }
}
