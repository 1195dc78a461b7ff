import assert from 'node:assert/strict';
import { dockerCreateBody, dockerLimits, limitsFromDocker } from './container-spec.ts';
import type { ContainerSpec } from './engine.ts';

const spec: ContainerSpec = {
  name: 'potluck-1',
  image: 'debian:12',
  env: [{ name: 'A', value: 'b=c' }],
  hostname: 'toto-desktop-0',
  labels: { a: 'b' },
  limits: { cpuMillis: 1500, cpuShares: 1024, cpuset: '0-1', memoryBytes: 100, memoryReservationBytes: 50, pids: 512 },
};

describe('dockerCreateBody()', () => {
  it('builds exactly this host configuration and nothing else', () => {
    assert.deepEqual(dockerCreateBody({ ...spec, diskBytes: 1000 }).HostConfig, {
      CapDrop: ['ALL'],
      CapAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETUID', 'SETGID', 'KILL', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'AUDIT_WRITE'],
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      IpcMode: 'private',
      CgroupnsMode: 'private',
      NetworkMode: 'bridge',
      RestartPolicy: { Name: 'no' },
      Ulimits: [
        { Name: 'nofile', Soft: 4096, Hard: 4096 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      LogConfig: { Type: 'local', Config: { 'max-size': '10m', 'max-file': '2' } },
      ShmSize: 67_108_864,
      Init: true,
      OomScoreAdj: 500,
      StorageOpt: { size: '1000' },
      CpuPeriod: 100_000,
      CpuQuota: 150_000,
      CpuShares: 1024,
      CpusetCpus: '0-1',
      Memory: 100,
      MemorySwap: 100,
      MemoryReservation: 50,
      PidsLimit: 512,
    });
  });

  it('asks for graphics processors by their ids, and for none where none are given', () => {
    assert.deepEqual(dockerCreateBody({ ...spec, gpus: ['GPU-1', 'GPU-2'] }).HostConfig.DeviceRequests, [
      { Driver: 'nvidia', DeviceIDs: ['GPU-1', 'GPU-2'], Capabilities: [['gpu']] },
    ]);
    assert.equal('DeviceRequests' in dockerCreateBody({ ...spec, gpus: [] }).HostConfig, false);
  });

  it('copies nothing that it does not know, whatever an object carries', () => {
    const hostile = { ...spec, Privileged: true, HostConfig: { Binds: ['/:/host'] }, Binds: ['/:/host'], User: 'root' } as ContainerSpec;
    assert.deepEqual(dockerCreateBody(hostile), dockerCreateBody(spec));
  });

  it('maps command and args as Kubernetes does', () => {
    const { Entrypoint, Cmd } = dockerCreateBody({ ...spec, command: ['a'] });
    assert.deepEqual([Entrypoint, Cmd], [['a'], []], "with a command the image's arguments do not count");
    const args = dockerCreateBody({ ...spec, args: ['x'] });
    assert.deepEqual([args.Entrypoint, args.Cmd], [undefined, ['x']]);
    const none = dockerCreateBody(spec);
    assert.deepEqual([none.Entrypoint, none.Cmd], [undefined, undefined]);
  });

  it('cuts a hostname to what the kernel holds', () => {
    assert.equal(dockerCreateBody({ ...spec, hostname: `${'a'.repeat(62)}-b` }).Hostname, 'a'.repeat(62));
  });

  it('sets no disk bound where the engine has none', () => {
    assert.equal('StorageOpt' in dockerCreateBody(spec).HostConfig, false);
  });
});

describe('limits', () => {
  it('are read back as they were written', () => {
    assert.deepEqual(limitsFromDocker({ ...dockerLimits(spec.limits) }), spec.limits);
  });
});
