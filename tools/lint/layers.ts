/** Prints each violation of the layer rule and exits with 1 if there is one, or if it found too few modules to mean anything. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkLayers } from './check-layers.ts';
import { folderRules } from './layer-rules.ts';
import { readModule } from './read-module.ts';

const root = join(import.meta.dirname, '../..');
const paths = globSync(`{${Object.keys(folderRules).join(',')}}/**/*.{ts,mjs}`, { cwd: root }).sort();
const modules = paths.map((path) => readModule(path, readFileSync(join(root, path), 'utf8')));
const violations = checkLayers(modules);
for (const violation of violations) console.error(violation);
console.log(`${modules.length} modules read, ${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
