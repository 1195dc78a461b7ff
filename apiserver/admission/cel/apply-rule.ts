/** Applies one CEL rule to one value, and says what is wrong in Kubernetes' words. */
import { Optional } from '@marcbachmann/cel-js';
import type { FieldError } from '../../registry/status-error.ts';
import { duplicateValue, forbiddenField, requiredValue } from '../field-errors.ts';
import { equalJson } from '../json-value.ts';
import type { ValidationRule } from '../structural-schema.ts';
import { ruleCostLimit, runWithin } from './cost.ts';
import { evaluationErrorText } from './error-text.ts';
import type { PreparedExpression } from './prepare-expression.ts';

export interface CompiledRule {
  readonly rule: ValidationRule;
  readonly condition: PreparedExpression;
  readonly message: PreparedExpression | undefined;
  /** To be appended to the path of the value. */
  readonly fieldPath: string;
}

/** Where a rule is applied. */
export interface RuleSubject {
  readonly value: unknown;
  /** Undefined where nothing stood before. */
  readonly old: unknown;
  /** Both as values of CEL, converted once for all rules of the place. */
  readonly self: unknown;
  readonly oldSelf: unknown;
  readonly path: string;
  /** The schema's type, which stands for the value in messages. */
  readonly type: string;
}

/** The rules of one object, while they are applied. */
export interface RuleRun {
  readonly errors: FieldError[];
  /** Units that are left; see `cost.ts`. */
  remaining: number;
  /** Set once the costs were too high: what follows is not looked at, and the object is refused. */
  ended: boolean;
}

function endRun(run: RuleRun, error: FieldError): void {
  if (run.ended) return;
  run.ended = true;
  run.errors.push(error);
}

/** Takes units from what the object's rules may cost; ends the run, and answers false, when there are none left. */
export function spend(run: RuleRun, units: number, path: string): boolean {
  run.remaining -= units;
  if (run.remaining > 0) return true;
  const field = path === '' ? '<nil>' : path;
  const detail = 'validation failed due to running out of cost budget, no further validation rules will be run';
  endRun(run, { reason: 'FieldValueInvalid', field, message: `Invalid value: ${detail}` });
  return false;
}

const maxMessageLength = 5 * 1024;

function withPath(path: string, fieldPath: string): string {
  const joined = path === '' ? fieldPath.replace(/^\./, '') : path + fieldPath;
  return joined === '' ? '<nil>' : joined;
}

function failedRule({ rule, fieldPath }: CompiledRule, { path, type }: RuleSubject, detail: string): FieldError {
  const field = withPath(path, fieldPath);
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return forbiddenField(field, detail);
    case 'FieldValueRequired':
      return requiredValue(field, detail);
    case 'FieldValueDuplicate':
      return duplicateValue(field, type);
    default:
      return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${detail}` };
  }
}

function brokenRule({ path, type }: RuleSubject, detail: string): FieldError {
  return { reason: 'FieldValueInvalid', field: path === '' ? '<nil>' : path, message: `Invalid value: ${JSON.stringify(type)}: ${detail}` };
}

function evaluationFailed({ rule }: CompiledRule, subject: RuleSubject, error: unknown): FieldError {
  const named = (rule.message ?? rule.rule).trim();
  const text = evaluationErrorText(error);
  if (text !== undefined) return brokenRule(subject, `${text} evaluating rule: ${named}`);
  const detail = `'no such overload': call arguments did not match a supported operator, function or macro signature for rule: ${named}`;
  return brokenRule(subject, detail);
}

function messageOf({ rule, message }: CompiledRule, variables: Record<string, unknown>, path: string, run: RuleRun): string {
  const fixed = rule.message !== undefined && rule.message !== '' ? rule.message : `failed rule: ${rule.rule.trim()}`;
  if (message === undefined) return fixed;
  const { value, used } = runWithin(Math.min(ruleCostLimit, run.remaining), () => message.evaluate(variables));
  spend(run, used, path);
  const usable = typeof value === 'string' && value.trim() !== '' && value.length <= maxMessageLength && !value.includes('\n');
  return usable ? value : fixed;
}

function variablesOf({ rule }: CompiledRule, { self, oldSelf }: RuleSubject): Record<string, unknown> {
  if (rule.optionalOldSelf === true) return { self, oldSelf: oldSelf === undefined ? Optional.none() : Optional.of(oldSelf) };
  return oldSelf === undefined ? { self } : { self, oldSelf };
}

/**
 * Applies a rule. One that speaks of `oldSelf` waits for an old value; another's failure is forgiven where the value did not change. A rule
 * that runs out of its budget fails, and ends the run.
 */
export function applyRule(compiled: CompiledRule, subject: RuleSubject, run: RuleRun): void {
  const { condition, rule } = compiled;
  if (condition.usesOldSelf && rule.optionalOldSelf !== true && subject.old === undefined) return;
  const variables = variablesOf(compiled, subject);
  const limit = Math.min(ruleCostLimit, run.remaining);
  const outcome = runWithin(limit, () => condition.evaluate(variables));
  if (!outcome.exceeded) spend(run, outcome.used, subject.path);
  if (!outcome.exceeded && outcome.value === true) return;
  const unchanged = !condition.usesOldSelf && subject.old !== undefined && equalJson(subject.value, subject.old);
  if (outcome.exceeded) {
    const named = (rule.message ?? rule.rule).trim();
    const detail = `'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: ${named}`;
    endRun(run, brokenRule(subject, detail));
  } else if (unchanged) {
    return;
  } else if (outcome.error !== undefined) {
    run.errors.push(evaluationFailed(compiled, subject, outcome.error));
  } else {
    run.errors.push(failedRule(compiled, subject, messageOf(compiled, variables, subject.path, run)));
  }
}
