import assert from 'node:assert/strict';
import { humanDuration } from './human-duration.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

describe('humanDuration()', () => {
  // The cases of k8s.io/apimachinery pkg/util/duration/duration_test.go.
  const cases: [number, string][] = [
    [second, '1s'],
    [70 * second, '70s'],
    [190 * second, '3m10s'],
    [70 * minute, '70m'],
    [47 * hour, '47h'],
    [49 * hour, '2d1h'],
    [(8 * 24 + 2) * hour, '8d'],
    [367 * day, '367d'],
    [(365 * 2 * 24 + 25) * hour, '2y1d'],
    [(365 * 8 * 24 + 2) * hour, '8y'],
    [0, '0s'],
    [-1 * second, '0s'],
    [-2 * second, '<invalid>'],
    [120 * second, '2m'],
    [10 * minute, '10m'],
    [3 * hour, '3h'],
    [3 * hour + 5 * minute, '3h5m'],
    [8 * hour, '8h'],
    [2 * day, '2d'],
    [3 * day + 4 * hour, '3d4h'],
    [2 * year, '2y'],
  ];
  for (const [durationMs, expected] of cases) it(`prints ${expected}`, () => assert.equal(humanDuration(durationMs), expected));
});
