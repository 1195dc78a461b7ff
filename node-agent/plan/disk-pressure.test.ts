import assert from 'node:assert/strict';
import { setCondition } from '../../api/conditions.ts';
import type { Condition } from '../../api/object.ts';
import { diskPressure } from './disk-pressure.ts';

const mebibyte = 1024 * 1024;
const limit = 100 * mebibyte;

describe('diskPressure()', () => {
  it('says nothing before it was measured, without a limit, and as long as there is room', () => {
    assert.equal(diskPressure(undefined, limit, undefined), undefined);
    assert.equal(diskPressure(90 * mebibyte, 0, undefined), undefined);
    assert.equal(diskPressure(79 * mebibyte, limit, undefined), undefined);
  });

  it('begins at 80 % of the limit and ends below 75 %', () => {
    const statuses: (string | undefined)[] = [];
    let conditions: Condition[] | undefined;
    for (const used of [80, 76, 74, 79, 80]) {
      const update = diskPressure(used * mebibyte, limit, conditions);
      statuses.push(update?.status);
      if (update !== undefined) conditions = setCondition(conditions, update, 0);
    }
    assert.deepEqual(statuses, ['True', 'True', 'False', undefined, 'True']);
  });

  it('says how much of how much', () => {
    const update = diskPressure(90 * mebibyte, limit, undefined);
    assert.match(update?.message ?? '', /has written 90 of the 100 MiB that its disk may hold \(90 %\)/);
  });
});
