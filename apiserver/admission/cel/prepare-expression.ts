/**
 * Makes expressions of the engine fit for rules that strangers write: calls our versions of functions (RE2 instead of backtracking), and
 * counts what an evaluation costs. Each round of a comprehension is charged before it runs, outside of what catches errors, so a rule
 * that is over its limit ends after at most one more pass over its own text.
 */
import type { ParseResult } from '@marcbachmann/cel-js';
import { charge, weigh } from './cost.ts';
import { replacedFunctions, replacementPrefix } from './library-strings.ts';

/** The engine's syntax tree, as far as we touch it. Pinned to version 8.0.0 by package.json, and by the tests of this folder. */
interface Node {
  op: string;
  args: unknown;
  /** Set by the type check. */
  handle?: (...values: unknown[]) => unknown;
  meta: { alternate?: unknown; macro?: unknown };
}

interface ComprehensionArguments {
  step: unknown;
  condition?: (accumulated: unknown) => boolean;
}

const binaryOperators = new Set(['==', '!=', 'in', '+', '-', '*', '/', '%', '<', '<=', '>', '>=']);

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value && 'meta' in value && typeof value.op === 'string';
}

/** Every node beneath a value, what macros expand to included; each once. */
function collectNodes(value: unknown, found = new Set<Node>(), seen = new Set()): Set<Node> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return found;
  seen.add(value);
  if (Array.isArray(value)) {
    for (const item of value) collectNodes(item, found, seen);
  } else if (isNode(value)) {
    found.add(value);
    for (const part of [value.args, value.meta.alternate, value.meta.macro]) collectNodes(part, found, seen);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const part of Object.values(value)) collectNodes(part, found, seen);
  }
  return found;
}

function replaceFunction(node: Node): void {
  if (node.op !== 'call' && node.op !== 'rcall') return;
  const args = node.args as [string, ...unknown[]];
  if (replacedFunctions.has(args[0])) args[0] = replacementPrefix + args[0];
}

function countComprehension(node: Node): void {
  const args = node.args as ComprehensionArguments;
  const { condition } = args;
  const roundCost = 1 + collectNodes(args.step).size;
  args.condition = (accumulated) => {
    charge(roundCost);
    return condition === undefined || condition(accumulated);
  };
}

function countHandle(node: Node, weightOfOperands: (values: readonly unknown[]) => number): void {
  const { handle } = node;
  if (handle === undefined) return;
  node.handle = (...values) => {
    charge(weightOfOperands(values));
    return handle(...values);
  };
}

export interface PreparedExpression {
  /** As the engine names types. */
  readonly type: string;
  readonly usesOldSelf: boolean;
  evaluate(variables: Record<string, unknown>): unknown;
}

/** Checks and prepares an expression; throws the engine's error when it does not fit the types. */
export function prepareExpression(parsed: ParseResult): PreparedExpression {
  for (const node of collectNodes(parsed.ast)) replaceFunction(node);
  const checked = parsed.check();
  if (checked.error !== undefined) throw checked.error;
  const nodes = collectNodes(parsed.ast);
  for (const node of nodes) {
    if (node.op === 'comprehension') countComprehension(node);
    else if (binaryOperators.has(node.op)) countHandle(node, ([left, right]) => weigh(left) + weigh(right));
    else if (node.op === 'call' || node.op === 'rcall') countHandle(node, ([operands]) => weigh(operands));
  }
  const textCost = nodes.size;
  return {
    type: checked.type ?? 'dyn',
    usesOldSelf: [...nodes].some((node) => node.op === 'id' && node.args === 'oldSelf'),
    evaluate(variables) {
      charge(textCost);
      return parsed(variables) as unknown;
    },
  };
}
