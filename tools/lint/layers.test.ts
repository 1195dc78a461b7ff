import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkLayers } from './check-layers.ts';
import { folderRules, purePaths } from './layer-rules.ts';
import { readModule } from './read-module.ts';

function violationsOf(path: string, text: string): string[] {
  return checkLayers([readModule(path, text)], 1);
}

describe('the layer rule', () => {
  const wrong: [string, string, RegExp][] = [
    ['api/quantity.ts', "import { x } from '../client/client.ts';", /imports go down.*move it down/],
    ['client/client.ts', "export { x } from '../apiserver/store/store.ts';", /do not know each other/],
    ['apiserver/api-server.ts', "import type { X } from '../client/client.ts';", /do not know each other; put what both need into api/],
    ['runtime/manager.ts', "import { x } from '../apiserver/store/store.ts';", /same layer/],
    ['controller/reconcilers.ts', "import { x } from '../node-agent/agent.ts';", /same layer.*meet in the API/],
    ['controller/scheduler/scheduler.ts', "import { x } from '../gitops/gitops.ts';", /never import each other/],
    ['controller/scheduler/scheduler.ts', "import { x } from '../reconcilers.ts';", /composition root/],
    ['apiserver/http/routes.ts', "import { Etcd3 } from 'etcd3';", /only apiserver\/store may import etcd3/],
    ['apiserver/http/routes.test.ts', "import { Etcd3 } from 'etcd3';", /only apiserver\/store may import etcd3/],
    ['node-agent/plan/converge.ts', "import Docker from 'dockerode';", /only node-agent\/engine may import dockerode/],
    ['node-agent/limits/apply.ts', "const d = await import('dockerode');", /only node-agent\/engine/],
    ['apiserver/http/routes.ts', "import { Environment } from '@marcbachmann/cel-js/evaluator';", /only apiserver\/admission\/ imports/],
    ['controller/scheduler/scheduler.ts', "import winston from 'winston';", /may not import this package/],
    ['controller/scheduler/place.ts', "import { hostname } from 'node:os';", /pure; take what it needs/],
    ['node-agent/plan/converge.ts', "type H = import('node:http').Server;", /pure/],
    ['api/quantity.ts', 'export const now = () => Date.now();', /uses Date\.now: this code is pure/],
    ['api/quantity.ts', 'export const now = () => new Date();', /new Date\(\)/],
    ['api/quantity.ts', 'export const now = performance.now();', /performance/],
    ['controller/scheduler/scores/spread.ts', 'export const r = () => Math.random();', /Math\.random/],
    ['cli/up.ts', "import { start } from '../test/support/etcd.ts';", /imports go down/],
    ['tools/bootstrap/start.mjs', "import { parse } from 'yaml';", /before node_modules is there/],
    ['tools/bootstrap/start.mjs', "import { errors } from '../../api/errors.ts';", /runs on its own/],
  ];
  for (const [path, text, message] of wrong) {
    it(`refuses ${text} in ${path}`, () => {
      const [violation, ...others] = violationsOf(path, text);
      assert.match(violation ?? '', message);
      assert.ok(violation?.startsWith(`${path}:1 `));
      assert.deepEqual(others, []);
    });
  }

  const right: [string, string][] = [
    ['client/kube-client.ts', "import { KubeConfig } from '@kubernetes/client-node'; import { x } from '../api/object.ts';"],
    [
      'apiserver/store/etcd-store.ts',
      "import { Etcd3 } from 'etcd3'; import { x } from './store.ts'; import { y } from '../registry/resource.ts';",
    ],
    ['apiserver/api-server.ts', "import { createLogger } from '../runtime/logger.ts'; import { readFile } from 'node:fs/promises';"],
    [
      'cli/server.ts',
      "import { start } from '../apiserver/api-server.ts'; import { x } from '../controller/reconcilers.ts'; import { parse } from 'yaml';",
    ],
    ['controller/reconcilers.ts', "import { scheduler } from './scheduler/scheduler.ts';"],
    [
      'api/time.ts',
      'export const iso = (ms: number) => new Date(ms).toISOString(); interface P { process: string } export const f = (p: P) => p.process;',
    ],
    ['api/quantity.test.ts', "import fc from 'fast-check'; import { readFile } from 'node:fs/promises';"],
    ['test/system/up.test.ts', "import Docker from 'dockerode'; import { x } from '../../cli/main.ts';"],
  ];
  for (const [path, text] of right) {
    it(`accepts ${text} in ${path}`, () => assert.deepEqual(violationsOf(path, text), []));
  }

  it('fails when it has read no module', () => {
    assert.match(checkLayers([])[0] ?? '', /read 0 modules/);
  });

  describe('in docs/architecture.md', () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/architecture.md'), 'utf8');
    const rows = text
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()))
      .filter((cells) => /^\d$/.test(cells[2] ?? ''));
    const names = (cell: string): string[] => [...cell.matchAll(/`([^`]+?)\/?`/g)].map((match) => match[1] ?? '');

    it('has the same folders, layers and packages', () => {
      const documented = new Map(rows.flatMap((cells) => names(cells[1] ?? '').map((folder) => [folder, cells] as const)));
      assert.deepEqual([...documented.keys()].sort(), Object.keys(folderRules).sort());
      for (const [folder, rule] of Object.entries(folderRules)) {
        const cells = documented.get(folder) ?? [];
        assert.equal(cells[2], String(rule.layer), folder);
        assert.deepEqual(names(cells[4] ?? '').sort(), Object.keys(rule.packages).sort(), folder);
      }
    });

    it('names every pure folder', () => {
      for (const path of purePaths) assert.ok(text.includes(`\`${path}\``) || text.includes(`\`${path}/\``), path);
    });
  });
});
