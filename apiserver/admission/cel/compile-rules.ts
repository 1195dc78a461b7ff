/** `x-kubernetes-validations`: compiles the CEL rules of a schema and applies them, as apiextensions-apiserver `schema/cel` does. */
import type { Environment } from '@marcbachmann/cel-js';
import type { FieldError } from '../../registry/status-error.ts';
import { requiredValue } from '../field-errors.ts';
import type { JsonSchema, ValidationRule } from '../structural-schema.ts';
import type { CompiledRule, RuleRun } from './apply-rule.ts';
import { baseEnvironment } from './base-environment.ts';
import { objectCostLimit } from './cost.ts';
import { declareType } from './declare-type.ts';
import type { CelType } from './declare-type.ts';
import { compileErrorText } from './error-text.ts';
import { prepareExpression } from './prepare-expression.ts';
import { resolveFieldPath } from './resolve-field-path.ts';
import { validateNode } from './validate-rules.ts';
import type { OwnRules, RuleNode } from './validate-rules.ts';

export interface CompiledRules {
  /** How many rules there are. */
  readonly count: number;
  /** What does not compile; fields are relative to the schema, for example `properties[spec].x-kubernetes-validations[0].rule`. */
  readonly problems: readonly FieldError[];
  validate(object: unknown, old: unknown): FieldError[];
}

interface Compilation {
  readonly problems: FieldError[];
  count: number;
}

interface Place {
  /** Of the schema, for problems. */
  readonly path: string;
  readonly resource: boolean;
  /** The schema of the list whose items have no past, if the place is beneath one. */
  readonly uncorrelatable: string | undefined;
}

function describeRule(rule: ValidationRule): string {
  const { rule: text, message = '', messageExpression = '', reason = null, fieldPath = '', optionalOldSelf = null } = rule;
  return JSON.stringify({
    Rule: text,
    Message: message,
    MessageExpression: messageExpression,
    Reason: reason,
    FieldPath: fieldPath,
    OptionalOldSelf: optionalOldSelf,
  });
}

function invalidRule(field: string, rule: ValidationRule, detail: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${describeRule(rule)}: ${detail}` };
}

function environmentFor(types: Environment, self: CelType, optionalOldSelf: boolean): Environment {
  return types
    .clone()
    .registerVariable('self', self.name)
    .registerVariable('oldSelf', optionalOldSelf ? `optional<${self.name}>` : self.name);
}

function compileMessage(environment: Environment, rule: ValidationRule, field: string, problems: FieldError[]): CompiledRule['message'] {
  const { messageExpression } = rule;
  if (messageExpression === undefined || messageExpression.trim() === '') return undefined;
  try {
    const prepared = prepareExpression(environment.parse(messageExpression));
    if (prepared.type === 'string' || prepared.type === 'dyn') return prepared;
    problems.push(invalidRule(`${field}.messageExpression`, rule, 'messageExpression must evaluate to a string'));
  } catch (error) {
    problems.push(
      invalidRule(
        `${field}.messageExpression`,
        rule,
        `messageExpression compilation failed: ${compileErrorText(error, messageExpression)}`,
      ),
    );
  }
  return undefined;
}

function compileRule(
  environment: Environment,
  rule: ValidationRule,
  place: Place & { schema: JsonSchema },
  compilation: Compilation,
): CompiledRule | undefined {
  const field = place.path;
  const { problems } = compilation;
  if (rule.rule.trim() === '') {
    problems.push(requiredValue(`${field}.rule`, 'rule is not specified'));
    return undefined;
  }
  const fieldPath = resolveFieldPath(rule.fieldPath, place.schema);
  if (fieldPath === undefined)
    problems.push(invalidRule(`${field}.fieldPath`, rule, `fieldPath must be a valid path: ${rule.fieldPath ?? ''}`));
  try {
    const condition = prepareExpression(environment.parse(rule.rule));
    if (condition.type !== 'bool' && condition.type !== 'dyn') {
      problems.push(invalidRule(`${field}.rule`, rule, 'cel expression must evaluate to a bool'));
    }
    if (condition.usesOldSelf && place.uncorrelatable !== undefined) {
      problems.push(
        invalidRule(
          `${field}.rule`,
          rule,
          `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelatable}`,
        ),
      );
    }
    return { rule, condition, message: compileMessage(environment, rule, field, problems), fieldPath: fieldPath ?? '' };
  } catch (error) {
    problems.push(invalidRule(`${field}.rule`, rule, `compilation failed: ${compileErrorText(error, rule.rule)}`));
    return undefined;
  }
}

function compileOwnRules(schema: JsonSchema, place: Place, compilation: Compilation): OwnRules | undefined {
  const declared = schema['x-kubernetes-validations'] ?? [];
  compilation.count += declared.length;
  if (declared.length === 0) return undefined;
  const types = baseEnvironment.clone();
  const self = declareType(types, schema, 'Self', place.resource || schema['x-kubernetes-embedded-resource'] === true);
  const environments = new Map<boolean, Environment>();
  const rules = declared.flatMap((rule, index) => {
    const optional = rule.optionalOldSelf === true;
    const environment = environments.get(optional) ?? environmentFor(types, self, optional);
    environments.set(optional, environment);
    const path = `${place.path}x-kubernetes-validations[${index}]`;
    return compileRule(environment, rule, { ...place, path, schema }, compilation) ?? [];
  });
  return { type: self, rules };
}

function compileNode(schema: JsonSchema, place: Place, compilation: Compilation): RuleNode | undefined {
  const beneath = (path: string, uncorrelatable = place.uncorrelatable): Place => ({
    path: `${place.path}${path}.`,
    resource: false,
    uncorrelatable,
  });
  const own = compileOwnRules(schema, place, compilation);
  const properties = new Map<string, RuleNode>();
  for (const [key, property] of Object.entries(schema.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const node = compileNode(property, beneath(`properties[${key}]`), compilation);
    if (node !== undefined) properties.set(key, node);
  }
  const { additionalProperties } = schema;
  const additional =
    typeof additionalProperties === 'object' ? compileNode(additionalProperties, beneath('additionalProperties'), compilation) : undefined;
  const listPath = schema['x-kubernetes-list-type'] === 'map' ? undefined : place.path.replace(/\.$/, '');
  const items =
    schema.items === undefined ? undefined : compileNode(schema.items, beneath('items', place.uncorrelatable ?? listPath), compilation);
  if (own === undefined && properties.size === 0 && additional === undefined && items === undefined) return undefined;
  return { schema, own, properties, additional, items };
}

/** Most failures that are reported of one object. */
const maxErrors = 100;

/** Compiles every rule of a schema; `resource` says that the schema is the root of a resource. Never throws: see `problems`. */
export function compileRules(schema: JsonSchema, options: { resource: boolean }): CompiledRules {
  const compilation: Compilation = { problems: [], count: 0 };
  const node = compileNode(schema, { path: '', resource: options.resource, uncorrelatable: undefined }, compilation);
  return {
    count: compilation.count,
    problems: compilation.problems,
    validate(object, old) {
      const run: RuleRun = { errors: [], remaining: objectCostLimit, ended: false };
      if (node !== undefined) validateNode(node, object, old, '', run);
      return run.errors.slice(0, maxErrors);
    },
  };
}
