import assert from 'node:assert/strict';
import type { ResourceDefinition } from '../../registry/resource.ts';
import type { AdmissionRequest } from '../admission-request.ts';
import { compilePolicy } from './compile-policy.ts';
import { PolicyEvaluation, PolicyVariables } from './evaluate-policy.ts';
import type { ValidatingAdmissionPolicySpec } from './policy-types.ts';

function evaluationOf(spec: ValidatingAdmissionPolicySpec, change: Partial<AdmissionRequest> = {}): PolicyEvaluation {
  const definition = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true } as ResourceDefinition;
  const request: AdmissionRequest = {
    operation: 'CREATE',
    definition,
    subresource: undefined,
    namespace: 'default',
    name: 'c',
    object: { metadata: { name: 'c' }, data: { n: 3, f: 1.5, s: 'x' } },
    oldObject: undefined,
    options: { user: { name: 'ann', groups: ['a'] }, dryRun: true, fieldManager: 'k', fieldValidation: 'Warn', warnings: [] },
    ...change,
  };
  const compiled = compilePolicy(spec);
  assert.deepEqual(compiled.problems, []);
  return new PolicyEvaluation(compiled, new PolicyVariables(request, { metadata: { name: 'default', managedFields: [] } }));
}

function messagesOf(expression: string, more: ValidatingAdmissionPolicySpec = {}): string[] {
  return evaluationOf({ ...more, validations: [{ expression }] })
    .validate(undefined)
    .map(({ message }) => message);
}

describe('PolicyEvaluation', () => {
  for (const expression of [
    'object.data.n == 3 && object.data.f > 1.0 && type(object.data.n) == int',
    'oldObject == null && !has(oldObject.spec)',
    "request.operation == 'CREATE' && request.dryRun && request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps'",
    "!has(request.subResource) && request.namespace == 'default' && request.name == 'c' && !has(request.userInfo.uid)",
    "request.userInfo.username == 'ann' && 'a' in request.userInfo.groups",
    "namespaceObject.metadata.name == 'default' && !has(namespaceObject.metadata.managedFields)",
    "object.?spec.?x.orValue('none') == 'none'",
  ]) {
    it(`finds true: ${expression}`, () => {
      assert.deepEqual(messagesOf(expression), []);
    });
  }

  it('says what is wrong by the expression, the message, or what makes it', () => {
    const validations = [
      { expression: ' false ' },
      { expression: 'false', message: ' fixed ' },
      { expression: 'false', message: 'fixed', messageExpression: "'made of ' + object.data.s" },
      { expression: 'false', message: 'fixed', messageExpression: "'two\\nlines'" },
      { expression: 'false', messageExpression: 'object.data.absent' },
    ];
    const failures = evaluationOf({ validations }).validate(undefined);
    assert.deepEqual(
      failures.map(({ message }) => message),
      ['failed expression: false', 'fixed', 'made of x', 'fixed', 'failed expression: false'],
    );
  });

  it('evaluates a variable when it is asked for, and lets it use those before it', () => {
    const variables = [
      { name: 'n', expression: 'object.data.n' },
      { name: 'broken', expression: 'object.absent' },
      { name: 'double', expression: 'variables.n * 2' },
    ];
    assert.deepEqual(messagesOf('variables.double == 6', { variables }), []);
    assert.deepEqual(messagesOf('variables.broken == 1', { variables }), [
      "expression 'variables.broken == 1' resulted in error: no such key: absent",
    ]);
  });

  it('skips when a match condition says no, even if another cannot be evaluated', () => {
    const error = { name: 'error', expression: 'object.absent' };
    assert.equal(evaluationOf({ matchConditions: [error, { name: 'no', expression: 'false' }] }).matches(), false);
    assert.deepEqual(evaluationOf({ matchConditions: [error, { name: 'yes', expression: 'true' }] }).matches(), {
      message: "expression 'object.absent' resulted in error: no such key: absent",
      isError: true,
    });
  });

  it('ends an expression that costs too much, with an error that no || forgives', () => {
    const items = Array.from({ length: 2000 }, (_, index) => index);
    const spec = { validations: [{ expression: 'object.items.all(a, object.items.all(b, a + b >= 0)) || true' }] };
    const [failure] = evaluationOf(spec, { object: { metadata: { name: 'c' }, items } }).validate(undefined);
    assert.equal(failure?.isError, true);
    assert.match(failure.message, /cost limit exceeded/u);
  });

  it('shows parameters, and null where a binding has none', () => {
    const spec = { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' }, validations: [{ expression: 'params != null && params.most > 2' }] };
    assert.equal(evaluationOf(spec).validate({ most: 3 }).length, 0);
    assert.equal(evaluationOf(spec).validate(null).length, 1);
  });
});

describe('compilePolicy()', () => {
  const problemsOf = (spec: ValidatingAdmissionPolicySpec): string[] =>
    compilePolicy(spec).problems.map(({ field, message }) => `${field}: ${message.split('\n')[0] ?? ''}`);

  it('refuses what does not compile or has the wrong type', () => {
    assert.deepEqual(problemsOf({ validations: [{ expression: '1 + 1' }, { expression: 'foo' }, { expression: ' ' }] }), [
      'spec.validations[0].expression: Invalid value: "1 + 1": must evaluate to bool',
      "spec.validations[1].expression: Invalid value: \"foo\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')",
      'spec.validations[2].expression: Required value: expression is not specified',
    ]);
  });

  it('refuses variables that are used before they are declared, twice there, or no identifiers', () => {
    const variables = [
      { name: 'a', expression: 'variables.b' },
      { name: 'b', expression: '1' },
      { name: 'b', expression: '2' },
      { name: 'no-name', expression: '3' },
    ];
    const fields = compilePolicy({ variables }).problems.map(({ field }) => field);
    assert.deepEqual(fields, ['spec.variables[0].expression', 'spec.variables[2].name', 'spec.variables[3].name']);
  });

  it('knows parameters only with a kind for them, and no variables in match conditions', () => {
    assert.equal(problemsOf({ validations: [{ expression: 'params.x == 1' }] }).length, 1);
    const matchConditions = [{ name: 'm', expression: 'variables.a == 1' }];
    assert.equal(problemsOf({ variables: [{ name: 'a', expression: '1' }], matchConditions }).length, 1);
  });
});
