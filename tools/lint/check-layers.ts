import { posix } from 'node:path';
import { firstStepFolder, folderRules, packageOwners, purePaths, strangers, type FolderRule } from './layer-rules.ts';
import type { ModuleFacts } from './read-module.ts';

/** With fewer modules than this, something was not read, and no violation means nothing. */
const fewestModules = 50;

/**
 * Answers one line for each violation of the layer rule: where, what, and what to do instead.
 * Tests beside the code may import what they need, except packages that have one owner.
 */
export function checkLayers(modules: readonly ModuleFacts[], fewest = fewestModules): string[] {
  const violations = modules.flatMap((module) => [...importViolations(module), ...purityViolations(module)]);
  if (modules.length < fewest) {
    violations.push(`the layer rule read ${modules.length} modules and expects at least ${fewest}: see to it that it finds the code`);
  }
  return violations;
}

function importViolations(module: ModuleFacts): string[] {
  return module.imports.flatMap(({ specifier, line }) => {
    const at = `${module.path}:${line} imports ${specifier}`;
    const complaint = specifier.startsWith('.')
      ? complainAboutFile(module.path, posix.join(posix.dirname(module.path), specifier))
      : complainAboutPackage(module.path, packageOf(specifier));
    return complaint === undefined ? [] : [`${at}: ${complaint}`];
  });
}

function complainAboutFile(from: string, to: string): string | undefined {
  if (isIn(from, firstStepFolder))
    return isIn(to, firstStepFolder) || isTest(from) ? undefined : `${firstStepFolder} runs on its own; copy the little that it needs`;
  if (isTest(from)) return undefined;
  const [source, target] = [topFolder(from), topFolder(to)];
  if (source === target) return complainAboutReconciler(from, to);
  const [rule, other] = [folderRules[source], folderRules[target]];
  if (rule === undefined || other === undefined) return undefined;
  if (strangers.some((pair) => pair.includes(source) && pair.includes(target))) {
    return `${source}/ and ${target}/ do not know each other; put what both need into api/`;
  }
  if (other.layer < rule.layer || rule.beside?.[target] !== undefined) return undefined;
  return other.layer === rule.layer
    ? `${source}/ and ${target}/ are in the same layer; put what both need into a lower one, or let the two meet in the API`
    : `imports go down, and ${target}/ (layer ${other.layer}) is above ${source}/ (layer ${rule.layer}); take it as an argument, or move it down`;
}

function complainAboutReconciler(from: string, to: string): string | undefined {
  const [fromParts, toParts] = [from.split('/'), to.split('/')];
  if (fromParts[0] !== 'controller' || fromParts.length < 3) return undefined;
  if (toParts.length >= 3 && fromParts[1] !== toParts[1]) {
    return 'duties under controller/ never import each other; let them meet in the API, or put what both need into api/ or runtime/';
  }
  return to === 'controller/reconcilers.ts' ? 'a duty does not know the composition root; take it as an argument' : undefined;
}

function complainAboutPackage(from: string, name: string): string | undefined {
  const owners = packageOwners[name];
  if (owners !== undefined && topFolder(from) !== 'test' && !owners.some((owner) => isIn(from, owner))) {
    return `only ${owners.join(', ')} may import ${name}; use the port there`;
  }
  if (isTest(from)) return undefined;
  if (name.startsWith('node:')) {
    return isPure(from) ? 'this code is pure; take what it needs as an argument, and do the input and output in the caller' : undefined;
  }
  if (isIn(from, firstStepFolder)) return 'the first step runs before node_modules is there; do without';
  const rule: FolderRule | undefined = folderRules[topFolder(from)];
  if (rule === undefined || rule.anyPackage === true) return undefined;
  if (isPure(from)) return 'this code is pure and imports no package; write the little that it needs, or do it in the caller';
  const owner = rule.packages[name];
  if (owner === undefined) return `${topFolder(from)}/ may not import this package; docs/architecture.md says who may`;
  return isIn(from, owner) ? undefined : `only ${owner}/ imports ${name}; use what it offers`;
}

function purityViolations(module: ModuleFacts): string[] {
  if (!isPure(module.path) || isTest(module.path)) return [];
  return module.impurities.map(({ what, line }) => `${module.path}:${line} uses ${what}: this code is pure; take the value as an argument`);
}

function isPure(path: string): boolean {
  return purePaths.some((pure) => isIn(path, pure));
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}

function topFolder(path: string): string {
  return path.slice(0, path.indexOf('/'));
}

/** `@scope/name/deep` → `@scope/name`; `name/deep` → `name`; `node:fs/promises` stays. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
