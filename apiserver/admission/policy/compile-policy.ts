/** Compiles the CEL of a policy, once for each generation of it. Objects are untyped here: `object.spec.x` of what has no x is an error. */
import type { Environment } from '@marcbachmann/cel-js';
import type { FieldError } from '../../registry/status-error.ts';
import { baseEnvironment } from '../cel/base-environment.ts';
import { compileErrorText } from '../cel/error-text.ts';
import { escapeName } from '../cel/escape-name.ts';
import { prepareExpression, type PreparedExpression } from '../cel/prepare-expression.ts';
import { duplicateValue, invalidValue, requiredValue } from '../field-errors.ts';
import type { NamedExpression, ValidatingAdmissionPolicySpec, Validation } from './policy-types.ts';

export interface CompiledExpression {
  /** As written, without the space around it. */
  text: string;
  expression: PreparedExpression;
}

export interface CompiledValidation extends CompiledExpression {
  validation: Validation;
  message: CompiledExpression | undefined;
}

export interface CompiledPolicy {
  /** What does not compile, and names that are wrong; a policy that has any decides nothing. */
  problems: readonly FieldError[];
  matchConditions: readonly CompiledExpression[];
  validations: readonly CompiledValidation[];
  /** Makes what `variables` is for one evaluation, given the other variables of CEL; each is evaluated when it is first asked for. */
  bindVariables(others: Readonly<Record<string, unknown>>): object;
}

const variableNames = ['object', 'oldObject', 'request', 'namespaceObject'] as const;
const composedType = 'kubernetes.variables';

export function compilePolicy(spec: ValidatingAdmissionPolicySpec): CompiledPolicy {
  const problems: FieldError[] = [];
  const conditionTypes = environmentOf(false);
  const types = environmentOf(spec.paramKind != null);
  const matchConditions = (spec.matchConditions ?? []).flatMap((condition, index) => {
    const field = `spec.matchConditions[${index}]`;
    if (condition.name === '') problems.push(requiredValue(`${field}.name`));
    return compile(conditionTypes, condition.expression, { field: `${field}.expression`, type: 'bool', problems }) ?? [];
  });
  const variables = compileVariables(types, spec.variables ?? [], problems);
  const validations = (spec.validations ?? []).flatMap(
    (validation, index) => compileValidation(variables.environment, validation, `spec.validations[${index}]`, problems) ?? [],
  );
  return { problems, matchConditions, validations, bindVariables: (others) => variables.bind(others) };
}

function environmentOf(hasParams: boolean): Environment {
  const environment = baseEnvironment.clone();
  for (const name of variableNames) environment.registerVariable(name, 'dyn');
  if (hasParams) environment.registerVariable('params', 'dyn');
  return environment;
}

interface Compilation {
  field: string;
  /** What the expression must evaluate to; any type if absent. */
  type?: string;
  problems: FieldError[];
}

function compile(environment: Environment, source: string, { field, type, problems }: Compilation): CompiledExpression | undefined {
  const text = source.trim();
  if (text === '') {
    problems.push(requiredValue(field, 'expression is not specified'));
    return undefined;
  }
  try {
    const expression = prepareExpression(environment.parse(source));
    if (type === undefined || expression.type === type || expression.type === 'dyn') return { text, expression };
    problems.push(invalidValue(field, source, `must evaluate to ${type}`));
  } catch (error) {
    problems.push(invalidValue(field, source, `compilation failed: ${compileErrorText(error, source)}`));
  }
  return undefined;
}

function compileValidation(
  environment: Environment,
  validation: Validation,
  field: string,
  problems: FieldError[],
): CompiledValidation | undefined {
  const { expression, messageExpression = '' } = validation;
  const condition = compile(environment, expression, { field: `${field}.expression`, type: 'bool', problems });
  const message =
    messageExpression === ''
      ? undefined
      : compile(environment, messageExpression, { field: `${field}.messageExpression`, type: 'string', problems });
  return condition === undefined ? undefined : { ...condition, validation, message };
}

interface Variables {
  environment: Environment;
  bind(others: Readonly<Record<string, unknown>>): object;
}

/** The variables that are known at one place of the list: each may use those before it. */
class ComposedVariables {
  readonly others: Readonly<Record<string, unknown>>;
  readonly known = new Map<string, { value: unknown } | { error: unknown }>();

  constructor(others: Readonly<Record<string, unknown>>) {
    this.others = others;
  }

  evaluate(name: string, expression: PreparedExpression): unknown {
    let result = this.known.get(name);
    if (result === undefined) {
      try {
        result = { value: expression.evaluate({ ...this.others, variables: this }) };
      } catch (error) {
        result = { error };
      }
      this.known.set(name, result);
    }
    if ('error' in result) throw result.error;
    return result.value;
  }
}

function compileVariables(types: Environment, declared: readonly NamedExpression[], problems: FieldError[]): Variables {
  const ObjectType = class extends ComposedVariables {};
  const fields: Record<string, string> = {};
  const withVariables = (): Environment =>
    types
      .clone()
      .registerType(composedType, { ctor: ObjectType, fields: { ...fields } })
      .registerVariable('variables', composedType);
  for (const [index, { name, expression: source }] of declared.entries()) {
    const field = `spec.variables[${index}]`;
    const isIdentifier = name !== '' && escapeName(name) === name;
    if (!isIdentifier) problems.push(invalidValue(`${field}.name`, name, 'name is not a valid CEL identifier'));
    else if (name in fields) problems.push(duplicateValue(`${field}.name`, name));
    const compiled = compile(withVariables(), source, { field: `${field}.expression`, problems });
    if (compiled === undefined || !isIdentifier) continue;
    fields[name] = 'dyn';
    const { expression } = compiled;
    Object.defineProperty(ObjectType.prototype, name, {
      configurable: true,
      get(this: ComposedVariables) {
        return this.evaluate(name, expression);
      },
    });
  }
  return { environment: withVariables(), bind: (others) => new ObjectType(others) };
}
