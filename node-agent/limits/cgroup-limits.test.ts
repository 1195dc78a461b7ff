import assert from 'node:assert/strict';
import { v1Limits, v2Limits } from './cgroup-limits.ts';

/** As recorded of a container with 0.1 of a processor, 16 MiB and 12 processes, on a kernel with v1 and one with v2. */
const v1: Readonly<Record<string, string>> = {
  'sys/fs/cgroup/cpu/docker/ab/cpu.stat': 'nr_periods 15\nnr_throttled 14\nthrottled_time 1261235412\n',
  'sys/fs/cgroup/cpu/docker/ab/cpu.cfs_quota_us': '10000\n',
  'sys/fs/cgroup/cpu/docker/ab/cpu.cfs_period_us': '100000\n',
  'sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes': '16777216\n',
  'sys/fs/cgroup/pids/docker/ab/pids.max': '12\n',
  'sys/fs/cgroup/cpu/free/cpu.stat': 'nr_periods 0\nnr_throttled 0\nthrottled_time 0\n',
  'sys/fs/cgroup/cpu/free/cpu.cfs_quota_us': '-1\n',
  'sys/fs/cgroup/cpu/free/cpu.cfs_period_us': '100000\n',
  'sys/fs/cgroup/memory/free/memory.limit_in_bytes': '9223372036854771712\n',
  'sys/fs/cgroup/pids/free/pids.max': 'max\n',
};
const group2 = '/system.slice/docker-ab.scope';
const v2: Readonly<Record<string, string>> = {
  [`sys/fs/cgroup${group2}/cpu.stat`]:
    'usage_usec 151234\nuser_usec 150000\nsystem_usec 1234\nnr_periods 15\nnr_throttled 14\nthrottled_usec 1261235\n',
  [`sys/fs/cgroup${group2}/cpu.max`]: '10000 100000\n',
  [`sys/fs/cgroup${group2}/memory.max`]: '16777216\n',
  [`sys/fs/cgroup${group2}/pids.max`]: '12\n',
  'sys/fs/cgroup/free/cpu.stat': 'usage_usec 151234\nuser_usec 150000\nsystem_usec 1234\n',
  'sys/fs/cgroup/free/cpu.max': 'max 100000\n',
  'sys/fs/cgroup/free/memory.max': 'max\n',
  'sys/fs/cgroup/free/pids.max': 'max\n',
};
const bounded = { throttledPeriods: 14, cpuMillis: 100, memoryBytes: 16_777_216, pids: 12 };
const free = { throttledPeriods: 0, cpuMillis: undefined, memoryBytes: undefined, pids: undefined };

describe('what the kernel holds a container to', () => {
  it('is read from a hierarchy for each controller', () => {
    assert.deepEqual(
      v1Limits((path) => v1[path], '/docker/ab'),
      bounded,
    );
    assert.deepEqual(
      v1Limits((path) => v1[path], '/free'),
      free,
    );
    assert.equal(
      v1Limits((path) => v1[path], '/gone'),
      undefined,
    );
  });

  it('is read from one hierarchy', () => {
    assert.deepEqual(
      v2Limits((path) => v2[path], group2),
      bounded,
    );
    assert.deepEqual(
      v2Limits((path) => v2[path], '/free'),
      free,
    );
    assert.equal(
      v2Limits((path) => v2[path], '/gone'),
      undefined,
    );
  });
});
