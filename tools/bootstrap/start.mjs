/** `npm start`: installs what is missing, then goes on as `potluck up` with the same arguments. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { handOver } from './hand-over.mjs';
import { fillCompileCache, nodeEnvironment } from './node-runtime.mjs';
import { prepareOrExit } from './prepare.mjs';

// Not import.meta.dirname: a Node that is too old for it must still get to hear that it is.
const root = fileURLToPath(new URL('../..', import.meta.url));
const node = await prepareOrExit(root, 'start');
fillCompileCache(node, root);
handOver(node, [join(root, 'cli/main.ts'), 'up', ...process.argv.slice(2)], nodeEnvironment(root));
