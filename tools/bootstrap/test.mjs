/** `npm test`: installs what is missing, then runs `tools/run-tests.ts` with the same arguments. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { handOver } from './hand-over.mjs';
import { nodeEnvironment } from './node-runtime.mjs';
import { prepareOrExit } from './prepare.mjs';

// Not import.meta.dirname: a Node that is too old for it must still get to hear that it is.
const root = fileURLToPath(new URL('../..', import.meta.url));
const node = await prepareOrExit(root, 'test');
handOver(node, [join(root, 'tools/run-tests.ts'), ...process.argv.slice(2)], {
  ...nodeEnvironment(root),
  PATH: [dirname(node), join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(':'),
});
