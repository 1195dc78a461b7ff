import assert from 'node:assert/strict';
import {
  managerFromUserAgent,
  parseBoolean,
  parseDeleteOptions,
  parseListOptions,
  parseWatchRequest,
  parseWriteOptions,
} from './query-options.ts';

const requester = { user: { name: 'ann', groups: [] }, userAgent: 'kubectl/v1.32.3 (linux/amd64)' };
const query = (text: string): URLSearchParams => new URLSearchParams(text);

describe('query parameters', () => {
  it('are true unless 0 or false, as Python’s clients count on', () => {
    for (const value of ['true', 'True', '1', '', 'yes']) assert.equal(parseBoolean(value), true, value);
    for (const value of ['false', 'False', '0', null]) assert.equal(parseBoolean(value), false);
  });

  it('refuse numbers that are none', () => {
    assert.throws(() => parseListOptions(query('limit=abc'), undefined), {
      code: 400,
      message: 'strconv.ParseInt: parsing "abc": invalid syntax',
    });
    assert.deepEqual(parseListOptions(query('limit=-1&timeoutSeconds=-1'), 'a'), { namespace: 'a' });
  });

  it('of a list hold no initial events', () => {
    assert.throws(() => parseListOptions(query('sendInitialEvents=true'), undefined), {
      code: 422,
      message: 'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
    });
  });

  it('of a watch become what the registry takes', () => {
    const { options, timeoutSeconds } = parseWatchRequest(query('resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=9'), undefined);
    assert.deepEqual(options, { resourceVersion: '7', allowWatchBookmarks: true });
    assert.equal(timeoutSeconds, 9);
  });
});

describe('parseDeleteOptions()', () => {
  it('refuses what it does not understand, rather than delete what was to be kept', () => {
    const refusals: [object, string][] = [
      [{ dryRun: 'All' }, 'DeleteOptions.dryRun: expected a list of strings'],
      [{ dryRun: [1] }, 'DeleteOptions.dryRun: expected a list of strings'],
      [{ preconditions: 'uid' }, 'DeleteOptions.preconditions: expected an object'],
      [{ preconditions: { uid: 5 } }, 'DeleteOptions.preconditions.uid: expected a string'],
      [{ preconditions: { resourceVersion: 5 } }, 'DeleteOptions.preconditions.resourceVersion: expected a string'],
      [{ propagationPolicy: true }, 'DeleteOptions.propagationPolicy: expected a string'],
      [{ orphanDependents: 'no' }, 'DeleteOptions.orphanDependents: expected a boolean'],
      [{ gracePeriodSeconds: '5' }, 'DeleteOptions.gracePeriodSeconds: expected an integer'],
      [{ kind: 'Pod' }, 'the body of a DELETE must be DeleteOptions, not "Pod"'],
    ];
    for (const [body, message] of refusals) assert.throws(() => parseDeleteOptions(body, requester), { code: 400, message });
    const kept = { kind: 'DeleteOptions', dryRun: null, preconditions: null, propagationPolicy: null, orphanDependents: null };
    assert.equal(parseDeleteOptions({ ...kept, gracePeriodSeconds: null }, requester).dryRun, false);
  });
});

describe('parseWriteOptions()', () => {
  it('takes the manager from the User-Agent when the query has none', () => {
    assert.equal(parseWriteOptions('CreateOptions', query(''), requester).fieldManager, 'kubectl');
    assert.equal(parseWriteOptions('CreateOptions', query('fieldManager=x'), requester).fieldManager, 'x');
    assert.equal(managerFromUserAgent(undefined), '');
    assert.equal(managerFromUserAgent('y'.repeat(200)).length, 128);
  });

  it('refuses in the words of Kubernetes', () => {
    const refusals: [string, string][] = [
      ['dryRun=Foo', 'dryRun: Unsupported value: ["Foo"]: supported values: "All"'],
      ['fieldValidation=Foo', 'fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"'],
      [`fieldManager=${'x'.repeat(129)}`, 'fieldManager: Too long: may not be more than 128 bytes'],
    ];
    for (const [text, message] of refusals) {
      assert.throws(() => parseWriteOptions('CreateOptions', query(text), requester), {
        code: 422,
        message: `CreateOptions.meta.k8s.io "" is invalid: ${message}`,
      });
    }
    assert.throws(() => parseWriteOptions('PatchOptions', query(''), requester, true), {
      message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    });
    assert.throws(() => parseWriteOptions('PatchOptions', query('force=true'), requester), {
      message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    });
  });
});

describe('parseDeleteOptions()', () => {
  it('reads what kubectl sends', () => {
    const options = parseDeleteOptions({ propagationPolicy: 'Foreground', dryRun: ['All'], preconditions: { uid: 'u' } }, requester);
    assert.equal(options.propagationPolicy, 'Foreground');
    assert.equal(options.dryRun, true);
    assert.deepEqual(options.preconditions, { uid: 'u' });
    assert.equal(parseDeleteOptions({ orphanDependents: true }, requester).propagationPolicy, 'Orphan');
  });

  it('refuses in the words of Kubernetes', () => {
    assert.throws(() => parseDeleteOptions({ propagationPolicy: 'Bogus' }, requester), {
      code: 422,
      message:
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Bogus": supported values: "Foreground", "Background", "Orphan", "nil"',
    });
    assert.throws(() => parseDeleteOptions({ propagationPolicy: 'Background', orphanDependents: true }, requester), {
      message:
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Background": orphanDependents and deletionPropagation cannot be both set',
    });
  });
});
