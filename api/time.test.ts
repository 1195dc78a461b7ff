import assert from 'node:assert/strict';
import { formatMicroTime, formatTime, parseTime } from './time.ts';

describe('times', () => {
  it('are written in whole seconds and in microseconds, UTC', () => {
    assert.equal(formatTime(1_769_860_800_999), '2026-01-31T12:00:00Z');
    assert.equal(formatMicroTime(1_769_860_800_123), '2026-01-31T12:00:00.123000Z');
    assert.equal(formatMicroTime(1_769_860_800_123.25), '2026-01-31T12:00:00.123250Z');
    assert.equal(formatMicroTime(1_769_860_800_123.9999), '2026-01-31T12:00:00.124000Z');
  });

  it('are read back, with micro- and nanoseconds cut to milliseconds', () => {
    assert.equal(parseTime('2026-01-31T12:00:00Z'), 1_769_860_800_000);
    assert.equal(parseTime('2026-01-31T12:00:00.123456Z'), 1_769_860_800_123);
    assert.equal(parseTime('2026-01-31T13:00:00.5+01:00'), 1_769_860_800_500);
  });

  it('that are none are undefined', () => {
    for (const text of [undefined, null, '', 'yesterday', '2026', '2026-13-45T00:00:00Z']) assert.equal(parseTime(text), undefined);
  });
});
