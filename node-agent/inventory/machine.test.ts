import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { allocatableOf, capacityOf, judgeOffer } from './capacity.ts';
import { packageCount, readAllowedCpus, readCpuTopology, threadCount } from './cpu-topology.ts';
import { goArchitecture, parseCpuModel, parseMemory, parseOsRelease, readMachine } from './machine.ts';
import type { Disk, Machine } from './machine.ts';

/** `/sys/devices/system/cpu` of real machines: for each logical processor its siblings, core and package. */
const recorded = {
  /** A laptop with four cores of two threads each, siblings four apart. */
  laptop: Array.from({ length: 8 }, (_, cpu) => [`${cpu % 4},${(cpu % 4) + 4}`, cpu % 4, 0] as const),
  /** A desktop whose siblings are neighbours, in two packages. */
  twoSockets: Array.from({ length: 8 }, (_, cpu) => [`${cpu - (cpu % 2)}-${cpu - (cpu % 2) + 1}`, (cpu >> 1) % 2, cpu >> 2] as const),
  /** Two performance cores with siblings, four efficiency cores without. */
  hybrid: [
    ['0-1', 0, 0],
    ['0-1', 0, 0],
    ['2-3', 4, 0],
    ['2-3', 4, 0],
    ['4', 8, 0],
    ['5', 9, 0],
    ['6', 10, 0],
    ['7', 11, 0],
  ] as const,
};

describe('readCpuTopology()', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-cpu-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${text}\n`);
  }

  async function record(cpus: readonly (readonly [string, number, number])[], online = `0-${cpus.length - 1}`): Promise<void> {
    await write('online', online);
    for (const [cpu, [siblings, core, packageId]] of cpus.entries()) {
      await write(`cpu${cpu}/topology/thread_siblings_list`, siblings);
      await write(`cpu${cpu}/topology/core_id`, String(core));
      await write(`cpu${cpu}/topology/physical_package_id`, String(packageId));
    }
  }

  it('finds cores with their threads on a laptop', async () => {
    await record(recorded.laptop);
    const topology = await readCpuTopology(root);
    assert.deepEqual(
      topology.cores.map(({ threads }) => threads),
      [
        [0, 4],
        [1, 5],
        [2, 6],
        [3, 7],
      ],
    );
    assert.equal(threadCount(topology), 8);
  });

  it('tells cores of the same number in two packages apart', async () => {
    await record(recorded.twoSockets);
    const topology = await readCpuTopology(root);
    assert.equal(topology.cores.length, 4);
    assert.equal(packageCount(topology), 2);
  });

  it('reads hybrid processors', async () => {
    await record(recorded.hybrid);
    const topology = await readCpuTopology(root);
    assert.deepEqual(
      topology.cores.map(({ threads }) => threads.length),
      [2, 2, 1, 1, 1, 1],
    );
  });

  it('leaves out processors that are offline', async () => {
    await record(recorded.laptop, '0-5');
    assert.equal(threadCount(await readCpuTopology(root)), 6);
    assert.deepEqual((await readCpuTopology(root)).cores[2]?.threads, [2]);
  });

  it('leaves out what control groups do not give, of v1 and of v2', async () => {
    await record(recorded.hybrid);
    await write('sys/fs/cgroup/cpuset/cpuset.effective_cpus', '0-1,3,6-7');
    const v1 = await readCpuTopology(root, await readAllowedCpus(root));
    assert.deepEqual(
      v1.cores.map(({ threads }) => threads),
      [[0, 1], [3], [6], [7]],
    );
    await write('sys/fs/cgroup/cpuset.cpus.effective', '2-4');
    const v2 = await readCpuTopology(root, await readAllowedCpus(root));
    assert.deepEqual(
      v2.cores.map(({ threads }) => threads),
      [[2, 3], [4]],
    );
    assert.deepEqual(await readAllowedCpus(join(root, 'none')), []);
  });

  it('counts processors without topology files as a core each', async () => {
    await write('online', '0-2');
    assert.equal((await readCpuTopology(root)).cores.length, 3);
  });
});

describe('what is read of the machine', () => {
  it('is found in the system of this very machine', async () => {
    const machine = await readMachine('/');
    assert.ok(machine.memoryBytes > 0);
    assert.ok(threadCount(machine.topology) > 0);
    assert.notEqual(machine.operatingSystem, '');
  });

  it('is what the files say', () => {
    assert.equal(parseOsRelease('NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'), 'Debian GNU/Linux 12 (bookworm)');
    assert.equal(parseOsRelease("PRETTY_NAME='A B'\n"), 'A B');
    assert.equal(parseOsRelease('ID=x'), 'Linux');
    assert.equal(parseMemory('MemTotal:       24683796 kB\nMemFree: 1 kB\n'), 24_683_796 * 1024);
    assert.equal(parseCpuModel('processor\t: 0\nmodel name\t: A (R) CPU @ 2GHz\n'), 'A (R) CPU @ 2GHz');
    assert.equal(parseCpuModel('Model\t\t: Small Board 4\n'), 'Small Board 4');
    assert.equal(goArchitecture('x64'), 'amd64');
    assert.equal(goArchitecture('arm64'), 'arm64');
  });
});

describe('capacity and allocatable', () => {
  const gibibyte = 1024 ** 3;
  const machine = {
    topology: { cores: [{ package: 0, core: 0, threads: [0, 1] }] },
    memoryBytes: 8 * gibibyte,
    gpus: [],
  } as unknown as Machine;
  const twoGpus: Machine = { ...machine, gpus: ['GPU-1', 'GPU-2'].map((id) => ({ id, model: 'T4' })) };
  const disk: Disk = { path: '/d', fileSystem: 'btrfs', sizeBytes: 100 * gibibyte, freeBytes: 40 * gibibyte, dedicated: true };

  it('counts logical processors, memory and the disk of the engine', () => {
    assert.deepEqual(capacityOf(machine, disk), { cpu: '2', memory: '8Gi', disk: '100Gi' });
  });

  it('gives away the least of what is offered and what there is', () => {
    const offer = { cpu: '4', memory: '2Gi', disk: '500Gi', 'egress-bandwidth': '10M' };
    assert.deepEqual(allocatableOf([offer], machine, disk), { cpu: '2', memory: '2Gi', disk: '95Gi', 'egress-bandwidth': '10M' });
  });

  it('gives away no more than the owner’s policy allows', () => {
    const bounds = [
      { cpu: 2, memory: '4Gi' },
      { memory: '1Gi', 'ingress-bandwidth': '5M' },
    ];
    assert.deepEqual(allocatableOf(bounds, machine, disk), { cpu: '2', memory: '1Gi', disk: '95Gi', 'ingress-bandwidth': '5M' });
  });

  it('keeps memory back for the system', () => {
    assert.deepEqual(allocatableOf([{ cpu: 1, memory: '8Gi' }], machine, disk)['memory'], '7782Mi');
  });

  it('gives away of a shared disk what is free', () => {
    assert.equal(allocatableOf([{ disk: '80Gi' }], machine, { ...disk, dedicated: false })['disk'], '40Gi');
  });

  it('gives away of graphics processors only what is offered, and no more than there are', () => {
    assert.equal(capacityOf(twoGpus, disk)['nvidia.com/gpu'], '2');
    assert.equal(allocatableOf([{ cpu: 1 }], twoGpus, disk)['nvidia.com/gpu'], undefined);
    assert.equal(allocatableOf([{ cpu: 1, 'nvidia.com/gpu': 1 }], twoGpus, disk)['nvidia.com/gpu'], '1');
    assert.equal(allocatableOf([{ cpu: 1, 'nvidia.com/gpu': 4 }], twoGpus, disk)['nvidia.com/gpu'], '2');
    assert.equal(allocatableOf([{ cpu: 1, 'nvidia.com/gpu': 4 }], machine, disk)['nvidia.com/gpu'], '0');
  });

  it('says of an offer above what is there to what it is cut', () => {
    assert.equal(judgeOffer({ cpu: '2', memory: '2Gi', 'egress-bandwidth': '1G' }, machine, disk).status, 'True');
    const { status, message } = judgeOffer({ cpu: '16', memory: '2Gi', disk: '500Gi', 'nvidia.com/gpu': 1 }, machine, disk);
    assert.deepEqual(
      [status, message],
      ['False', 'Of what is offered the machine can give only 2 of the 16 cpu, 95Gi of the 500Gi disk, 0 of the 1 nvidia.com/gpu'],
    );
  });
});
