import assert from 'node:assert/strict';
import { parseAmounts } from '../../api/resource-amounts.ts';
import type { ResourceQuota } from '../../api/resource-type.ts';
import { concernsQuota, judgeUsage, sameUsage } from './judge-usage.ts';

function quota(hard: Record<string, string>, used: Record<string, string> = {}): ResourceQuota {
  return { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q' }, spec: { hard }, status: { hard, used } };
}

describe('judgeUsage()', () => {
  it('takes up growth at once', () => {
    const judged = judgeUsage(quota({ a: '5' }, { a: '1' }), parseAmounts({ a: '3' }), false);
    assert.deepEqual(judged, { status: { hard: { a: '5' }, used: { a: '3' } }, isUnsettled: false });
  });

  it('keeps what may be set aside for a write that is under way, until the quota has settled', () => {
    const before = quota({ a: '5', b: '5' }, { a: '3', b: '1' });
    const counted = parseAmounts({ a: '2', b: '2' });
    assert.deepEqual(judgeUsage(before, counted, false), {
      status: { hard: { a: '5', b: '5' }, used: { a: '3', b: '2' } },
      isUnsettled: true,
    });
    assert.deepEqual(judgeUsage(before, counted, true), {
      status: { hard: { a: '5', b: '5' }, used: { a: '2', b: '2' } },
      isUnsettled: false,
    });
  });

  it('counts what was never counted, and drops what is bounded no more', () => {
    const judged = judgeUsage(quota({ a: '5' }, { gone: '4' }), {}, false);
    assert.deepEqual(judged.status, { hard: { a: '5' }, used: { a: '0' } });
  });
});

describe('concernsQuota()', () => {
  it('knows counts by both names, and declared amounts by their prefix', () => {
    const type = { group: 'potluck.dev', resource: 'instances' };
    const sources = [{ prefix: 'requests', path: ['spec'] }];
    assert.equal(concernsQuota(quota({ 'count/instances.potluck.dev': '1' }), type, []), true);
    assert.equal(concernsQuota(quota({ 'requests.cpu': '1' }), type, sources), true);
    assert.equal(concernsQuota(quota({ 'requests.cpu': '1' }), type, []), false);
    assert.equal(concernsQuota(quota({ requests: '1', instances: '1' }), type, sources), false);
    assert.equal(concernsQuota(quota({ secrets: '1' }), { group: '', resource: 'secrets' }, []), true);
  });
});

describe('sameUsage()', () => {
  it('compares amounts by name, and takes none for empty', () => {
    assert.equal(sameUsage(undefined, { hard: {}, used: null }), true);
    assert.equal(sameUsage({ hard: { a: '1' } }, { hard: { a: '1' }, used: { a: '0' } }), false);
    assert.equal(sameUsage({ used: { a: '1', b: '2' } }, { used: { b: '2', a: '1' } }), true);
    assert.equal(sameUsage({ used: { a: '1' } }, { used: { b: '1' } }), false);
  });
});
