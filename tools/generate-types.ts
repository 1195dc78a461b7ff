/**
 * Writes `api/generated/<kind>.ts` from `crds/*.yaml`, the only place where a field of ours is declared.
 * `--check` writes nothing and exits with 1 if a generated file is not what the CRDs say.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compile } from 'json-schema-to-typescript';
import { parse } from 'yaml';

type Schema = Record<string, unknown>;

interface CustomResourceDefinition {
  spec: { names: { kind: string }; versions: { name: string; storage: boolean; schema: { openAPIV3Schema: Schema } }[] };
}

const root = join(import.meta.dirname, '..');

/** Turns a structural schema into the JSON schema that the generator understands. */
function toJsonSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(toJsonSchema);
  if (typeof schema !== 'object' || schema === null) return schema;
  const result: Schema = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key.startsWith('x-kubernetes-') || ['maxItems', 'minItems', 'maxProperties', 'minProperties', 'pattern'].includes(key)) continue;
    if (key === 'properties') {
      result[key] = Object.fromEntries(Object.entries(value as Schema).map(([name, property]) => [name, toJsonSchema(property)]));
    } else {
      result[key] = key === 'default' ? value : toJsonSchema(value);
    }
  }
  if (result['type'] === 'object' && result['additionalProperties'] === undefined) result['additionalProperties'] = false;
  return result;
}

function kebabCase(kind: string): string {
  return kind.replaceAll(/([a-z])([A-Z])/g, '$1-$2').toLowerCase();
}

async function generate(crd: CustomResourceDefinition): Promise<{ path: string; text: string }> {
  const { kind } = crd.spec.names;
  const version = crd.spec.versions.find((candidate) => candidate.storage);
  if (version === undefined) throw new Error(`crds: ${kind} has no storage version`);
  const schema = toJsonSchema(version.schema.openAPIV3Schema) as { properties: Schema; required?: string[] };
  // Types in the API vocabulary say `metadata: ObjectMeta`; the CRD only restricts the name.
  schema.properties['metadata'] = { tsType: 'ObjectMeta' };
  schema.required = ['apiVersion', 'kind', 'metadata', ...(schema.required ?? [])];
  const text = await compile(schema as never, kind, {
    bannerComment: `// Generated from crds/ by tools/generate-types.ts; do not edit. \`npm run generate\` writes it anew.\nimport type { ObjectMeta } from '../object.ts';\n`,
    style: { singleQuote: true, printWidth: 140 },
    ignoreMinAndMaxItems: true,
    strictIndexSignatures: false,
  });
  return { path: join(root, 'api/generated', `${kebabCase(kind)}.ts`), text };
}

const check = process.argv.includes('--check');
const files = (await readdir(join(root, 'crds'))).filter((name) => name.endsWith('.yaml')).sort();
let stale = 0;
for (const file of files) {
  const crd = parse(await readFile(join(root, 'crds', file), 'utf8')) as CustomResourceDefinition;
  const { path, text } = await generate(crd);
  if (!check) {
    await writeFile(path, text);
    continue;
  }
  const current = await readFile(path, 'utf8').catch(() => '');
  if (current !== text) {
    stale += 1;
    console.error(`${path} is not what crds/${file} says: run \`npm run generate\` and commit the result`);
  }
}
if (files.length === 0) throw new Error('crds/ holds no YAML file');
process.exitCode = stale === 0 ? 0 : 1;
