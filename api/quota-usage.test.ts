import assert from 'node:assert/strict';
import { formatAmounts } from './resource-amounts.ts';
import { countNames, parseQuotaAmounts, QuotaAmountsError, quotaUsage } from './quota-usage.ts';

const instancesType = { group: 'potluck.dev', resource: 'instances' };

describe('quota usage', () => {
  it('counts by the qualified name, in the core group also by the bare one', () => {
    assert.deepEqual(countNames(instancesType), ['count/instances.potluck.dev']);
    assert.deepEqual(countNames({ group: '', resource: 'secrets' }), ['count/secrets', 'secrets']);
  });

  it('sums the declared maps under their prefixes', () => {
    const sources = parseQuotaAmounts('{"requests":".spec.resources.requests","limits":".spec.resources.limits"}');
    const object = { spec: { resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: 2, pids: 'many' } } } };
    assert.deepEqual(formatAmounts(quotaUsage(instancesType, object, sources)), {
      'count/instances.potluck.dev': '1',
      'requests.cpu': '500m',
      'requests.memory': '1Gi',
      'limits.cpu': '2',
    });
  });

  it('adds up two sources with one prefix, and takes what is absent or no map for nothing', () => {
    const sources = [
      { prefix: 'requests', path: ['spec', 'a'] },
      { prefix: 'requests', path: ['spec', 'b'] },
      { prefix: 'limits', path: ['spec', 'list'] },
      { prefix: 'limits', path: ['spec', 'toString'] },
    ];
    const usage = quotaUsage(instancesType, { spec: { a: { cpu: '1' }, b: { cpu: '250m' }, list: ['1'] } }, sources);
    assert.deepEqual(formatAmounts(usage), { 'count/instances.potluck.dev': '1', 'requests.cpu': '1250m' });
  });

  for (const text of ['', '[]', 'null', '{"requests":"spec"}', '{"requests":1}', '{"Requests":".spec"}', '{"a":".spec[0]"}']) {
    it(`refuses the annotation ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseQuotaAmounts(text), QuotaAmountsError);
    });
  }
});
