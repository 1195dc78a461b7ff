/** The layer rule as data. `docs/architecture.md` explains it, and `layers.test.ts` holds its table to this one. */

export interface FolderRule {
  layer: number;
  /** Packages that may be imported, with the only folder that may do it where there is one. Types of a package count as the package. */
  packages: Readonly<Record<string, string>>;
  /** Folders of the same layer that it may import as well, and why. */
  beside?: Readonly<Record<string, string>>;
  /** Packages of any name. */
  anyPackage?: boolean;
}

/** Top-level folders. The value of a package is the folder that owns it. */
export const folderRules: Readonly<Record<string, FolderRule>> = {
  api: { layer: 0, packages: {} },
  client: { layer: 1, packages: { '@kubernetes/client-node': 'client' } },
  runtime: { layer: 2, packages: { winston: 'runtime', 'prom-client': 'runtime' } },
  apiserver: {
    layer: 2,
    packages: {
      etcd3: 'apiserver/store',
      '@marcbachmann/cel-js': 'apiserver/admission',
      re2js: 'apiserver/admission',
      '@peculiar/x509': 'apiserver/access',
      jose: 'apiserver/access',
      ajv: 'apiserver/access',
      protobufjs: 'apiserver/http',
      'prom-client': 'apiserver/http',
      'fast-json-patch': 'apiserver/registry',
      yaml: 'apiserver',
    },
    beside: { runtime: 'a server logs, measures and stops as every process does' },
  },
  controller: { layer: 3, packages: {} },
  'node-agent': {
    layer: 3,
    packages: {
      dockerode: 'node-agent/engine',
      ajv: 'node-agent/owner-policy',
      chokidar: 'node-agent/owner-policy',
      yaml: 'node-agent/owner-policy',
    },
  },
  cli: {
    layer: 3,
    packages: { yaml: 'cli' },
    beside: { controller: 'commands compose the parts', 'node-agent': 'commands compose the parts' },
  },
  test: { layer: 4, packages: {}, anyPackage: true },
  bench: { layer: 4, packages: {}, anyPackage: true, beside: { test: 'its support code starts the parts' } },
  tools: { layer: 4, packages: {}, anyPackage: true },
};

/** Pairs that do not know each other, although their layers would allow it. */
export const strangers: readonly (readonly [string, string])[] = [['apiserver', 'client']];

/** Only these folders may import the package, tests included. */
export const packageOwners: Readonly<Record<string, readonly string[]>> = {
  etcd3: ['apiserver/store'],
  dockerode: ['node-agent/engine'],
};

/** Folders and files that import no `node:` module and no package, and never ask the clock or chance. */
export const purePaths: readonly string[] = [
  'api',
  'controller/scheduler/filters',
  'controller/scheduler/scores',
  'controller/scheduler/place.ts',
  'node-agent/plan',
];

/** Runs before node_modules is there. */
export const firstStepFolder = 'tools/bootstrap';
