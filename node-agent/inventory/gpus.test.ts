import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseInformation, readGpus } from './gpus.ts';

/** `/proc/driver/nvidia/gpus/<slot>/information` of a desktop with two cards. */
const recorded = {
  '0000:01:00.0': `Model: 		 NVIDIA GeForce RTX 4090
IRQ:   		 145
GPU UUID: 	 GPU-2d0c5e1a-8b1f-4a3e-9c55-6f7b0c1d2e3f
Video BIOS: 	 95.02.3c.40.b2
Bus Type: 	 PCIe
DMA Size: 	 47 bits
DMA Mask: 	 0x7fffffffffff
Bus Location: 	 0000:01:00.0
Device Minor: 	 0
GPU Excluded:	 No
`,
  '0000:0a:00.0': `Model: 		 Tesla T4
IRQ:   		 146
GPU UUID: 	 GPU-1aa0b1c2-0000-4d5e-8f90-123456789abc
Device Minor: 	 1
`,
};

describe('readGpus()', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-gpu-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }

  async function record(): Promise<void> {
    for (const [slot, text] of Object.entries(recorded)) await write(`proc/driver/nvidia/gpus/${slot}/information`, text);
  }

  const both = [
    { id: 'GPU-1aa0b1c2-0000-4d5e-8f90-123456789abc', model: 'Tesla T4' },
    { id: 'GPU-2d0c5e1a-8b1f-4a3e-9c55-6f7b0c1d2e3f', model: 'NVIDIA GeForce RTX 4090' },
  ];

  it('finds none where there are none', async () => {
    assert.deepEqual(await readGpus(root), []);
  });

  it('finds those that the engine can hand over, by the toolkit or by a CDI specification', async () => {
    await record();
    await write('usr/bin/nvidia-container-runtime-hook', '');
    assert.deepEqual(await readGpus(root), both);
    await rm(join(root, 'usr'), { recursive: true });
    assert.deepEqual(await readGpus(root), []);
    await write('etc/cdi/other.yaml', 'cdiVersion: 0.5.0\nkind: example.org/device\n');
    assert.deepEqual(await readGpus(root), []);
    await write('etc/cdi/nvidia.yaml', 'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: []\n');
    assert.deepEqual(await readGpus(root), both);
  });

  it('passes over a card that the driver has not opened yet', () => {
    assert.equal(parseInformation('Model: Tesla T4\nGPU UUID: GPU-????????-????-????-????-????????????\n'), undefined);
  });
});
