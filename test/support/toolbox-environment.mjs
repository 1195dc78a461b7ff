// Machines of tests take the toolbox over that `testToolbox()` makes once, instead of making one each.
import { homedir } from 'node:os';
import { join } from 'node:path';

process.env.POTLUCK_TOOLBOX ??= join(homedir(), '.cache/potluck/toolbox');
