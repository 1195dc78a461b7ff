import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openCounters } from './container-counters.ts';

const containerId = '6a1c0f3be7f7ab7fce2b9d1f4f5b4e8f2d7a4b1b6f0d3f9a8c7e6d5c4b3a2f10';

/** Recorded from containers of dockerd, cut to what is read: one file for each path. */
const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1200      12    0    0    0     0          0         0     1200      12    0    0    0     0       0          0
  eth0: 5021394    3567    1    2    0     0          0         0   204811    2910    3    4    0     0       0          0
`;

const recordedV1 = {
  'proc/7/cgroup': `12:pids:/potluck-01/${containerId}\n5:memory:/potluck-01/${containerId}\n2:cpu,cpuacct:/potluck-01/${containerId}\n1:name=systemd:/potluck-01/${containerId}\n0::/\n`,
  'proc/7/net/dev': netDev,
  [`sys/fs/cgroup/cpuacct/potluck-01/${containerId}/cpuacct.usage`]: '2534167891\n',
  [`sys/fs/cgroup/cpuacct/potluck-01/${containerId}/cpuacct.stat`]: 'user 180\nsystem 65\n',
  [`sys/fs/cgroup/memory/potluck-01/${containerId}/memory.usage_in_bytes`]: '104857600\n',
  [`sys/fs/cgroup/memory/potluck-01/${containerId}/memory.stat`]:
    'cache 60000000\nrss 40000000\ninactive_file 7\nhierarchical_memory_limit 134217728\ntotal_cache 61000000\ntotal_rss 41000000\ntotal_inactive_file 31457280\ntotal_active_file 29542720\n',
};

/** Debian 12's own kernel with systemd's driver. */
const scopeV2 = `/system.slice/docker-${containerId}.scope`;
const recordedV2 = {
  'proc/7/cgroup': `0::${scopeV2}\n`,
  'proc/7/net/dev': netDev,
  [`sys/fs/cgroup${scopeV2}/cpu.stat`]:
    'usage_usec 2534167\nuser_usec 1834000\nsystem_usec 700167\nnr_periods 121\nnr_throttled 3\nthrottled_usec 90125\n',
  [`sys/fs/cgroup${scopeV2}/memory.current`]: '104857600\n',
  [`sys/fs/cgroup${scopeV2}/memory.stat`]:
    'anon 41000000\nfile 61000000\nkernel 1048576\nanon_thp 0\ninactive_anon 41000000\nactive_anon 0\ninactive_file 31457280\nactive_file 29542720\n',
};

describe('openCounters()', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-cgroup-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function record(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
  }

  const memory = { memoryBytes: 104857600, workingSetBytes: 104857600 - 31457280, rssBytes: 41000000, cacheBytes: 61000000 };

  it('reads cgroup v1, where each controller has a tree of its own', async () => {
    await record(recordedV1);
    const source = openCounters(root, { pid: 7, containerId });
    assert.equal(source?.cgroup, `/potluck-01/${containerId}`);
    const { networks, ...counters } = source.read() ?? assert.fail('nothing was read');
    assert.deepEqual(counters, { cpuNanos: 2534167891, userNanos: 1_800_000_000, systemNanos: 650_000_000, ...memory });
    assert.equal(networks.length, 1);
  });

  it('reads cgroup v2, where all controllers share one', async () => {
    await record(recordedV2);
    const source = openCounters(root, { pid: 7, containerId });
    assert.equal(source?.cgroup, scopeV2);
    const { networks, ...counters } = source.read() ?? assert.fail('nothing was read');
    assert.deepEqual(counters, { cpuNanos: 2534167000, userNanos: 1_834_000_000, systemNanos: 700_167_000, ...memory });
    assert.equal(networks.length, 1);
  });

  it('counts every network device but the loopback one', async () => {
    await record(recordedV2);
    assert.deepEqual(openCounters(root, { pid: 7, containerId })?.read()?.networks, [
      {
        interface: 'eth0',
        receivedBytes: 5021394,
        receivedPackets: 3567,
        receiveErrors: 1,
        receivedDropped: 2,
        sentBytes: 204811,
        sentPackets: 2910,
        sendErrors: 3,
        sentDropped: 4,
      },
    ]);
  });

  it('takes no stranger for the container', async () => {
    await record({ ...recordedV2, 'proc/7/cgroup': '0::/user.slice/user-1000.slice\n' });
    assert.equal(openCounters(root, { pid: 7, containerId }), undefined);
    assert.equal(openCounters(root, { pid: 8, containerId }), undefined);
  });

  it('reads nothing of a container that ended', async () => {
    await record(recordedV1);
    const source = openCounters(root, { pid: 7, containerId });
    await rm(join(root, 'sys'), { recursive: true });
    assert.equal(source?.read(), undefined);
  });

  it('never has a working set below nothing', async () => {
    const path = `sys/fs/cgroup${scopeV2}/memory.current`;
    await record({ ...recordedV2, [path]: '1000\n' });
    assert.equal(openCounters(root, { pid: 7, containerId })?.read()?.workingSetBytes, 0);
  });
});
