/** The toolbox of this machine, made once for this user (half a minute) and kept: `$POTLUCK_TOOLBOX`, or in the user's cache. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Toolbox } from '../../node-agent/toolbox/toolbox.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { eventually } from './eventually.ts';

/** Answers the folder that instances see. */
export async function testToolbox(): Promise<string> {
  const directory = process.env['POTLUCK_TOOLBOX'] ?? join(homedir(), '.cache/potluck/toolbox');
  const toolbox = new Toolbox({ directory, logger: silentLogger });
  await toolbox.start();
  try {
    const ready = (): void => {
      if (toolbox.missing !== undefined) throw new Error(toolbox.missing);
    };
    await eventually(ready, { timeoutMs: 180_000, what: 'the tools of SSH', intervalMs: 200 });
  } finally {
    await toolbox.stop();
  }
  return toolbox.directory;
}
