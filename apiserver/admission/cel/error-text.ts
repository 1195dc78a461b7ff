/** Errors of the engine in the words of cel-go, which Kubernetes' users know. */
import { EvaluationError, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js';
import { replacementPrefix } from './library-strings.ts';

type EngineError = ParseError | CelTypeError | EvaluationError;

function isEngineError(error: unknown): error is EngineError {
  return error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError;
}

function summaryOf(error: unknown): string {
  const text = isEngineError(error) ? error.summary : error instanceof Error ? error.message : String(error);
  return text.replaceAll(replacementPrefix, '');
}

function inGoWords(error: EngineError): string {
  const summary = summaryOf(error);
  const quoted = /'([^']*)'/.exec(summary)?.[1] ?? '';
  switch (error.code) {
    case 'cannot_index_type':
      return `type '${quoted}' does not support field selection`;
    case 'no_such_key':
      return `undefined field '${summary.replace(/^No such key: /, '')}'`;
    case 'unknown_variable':
      return `undeclared reference to '${summary.replace(/^Unknown variable: /, '')}' (in container '')`;
    case 'no_matching_overload':
      return summary;
    default:
      return error instanceof ParseError ? `Syntax error: ${summary}` : summary;
  }
}

/** Why an expression does not compile, with the place: `ERROR: <input>:1:5: …`, the line, and a mark beneath it. */
export function compileErrorText(error: unknown, source: string): string {
  if (!isEngineError(error)) return `ERROR: <input>:1:1: ${summaryOf(error)}`;
  const isAccess = error.code === 'cannot_index_type' || error.code === 'no_such_key';
  const offset = Math.max(0, (error.range?.start ?? 0) - (isAccess ? 1 : 0));
  const before = source.slice(0, offset).split('\n');
  const line = source.split('\n')[before.length - 1] ?? '';
  const column = before.at(-1)?.length ?? 0;
  return `ERROR: <input>:${before.length}:${column + 1}: ${inGoWords(error)}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

/** Why an evaluation failed, or undefined where no function or operator fits the values. */
export function evaluationErrorText(error: unknown): string | undefined {
  if (error instanceof EvaluationError) {
    if (error.code === 'no_such_overload' || error.code === 'no_matching_overload') return undefined;
    const outOfBounds = /index out of bounds, index (-?\d+)/.exec(error.summary)?.[1];
    if (outOfBounds !== undefined) return `index out of bounds: ${outOfBounds}`;
    if (error.code === 'modulo_by_zero') return 'modulus by zero';
    if (error.code === 'numeric_overflow') return 'integer overflow';
  }
  return summaryOf(error).replace(/^No such key/, 'no such key');
}
