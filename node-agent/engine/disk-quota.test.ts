import assert from 'node:assert/strict';
import { hasDiskQuota } from './disk-quota.ts';

/** As a server with xfs has it, with and without quotas for projects. */
const mountInfo = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
95 22 8:17 / /srv rw,noatime shared:40 - xfs /dev/sdb1 rw,attr2,inode64,logbufs=8,logbsize=32k,prjquota
96 22 8:33 / /data rw,noatime shared:41 - xfs /dev/sdc1 rw,attr2,inode64,noquota
`;
const overlay = { driver: 'overlay2', backing: 'xfs', mountInfo };

describe('hasDiskQuota()', () => {
  it('is so on btrfs, and with overlay2 on an xfs with quotas for projects', () => {
    assert.ok(hasDiskQuota({ driver: 'btrfs', backing: undefined, dataRoot: '/var/lib/docker', mountInfo }));
    assert.ok(hasDiskQuota({ ...overlay, dataRoot: '/srv/docker' }));
    assert.ok(hasDiskQuota({ ...overlay, dataRoot: '/srv' }));
  });

  it('is not so anywhere else', () => {
    assert.ok(!hasDiskQuota({ ...overlay, dataRoot: '/data/docker' }), 'mounted without');
    assert.ok(!hasDiskQuota({ ...overlay, dataRoot: '/srvx/docker' }), 'another directory');
    assert.ok(!hasDiskQuota({ ...overlay, backing: 'extfs', dataRoot: '/srv/docker' }));
    assert.ok(!hasDiskQuota({ driver: 'vfs', backing: 'xfs', dataRoot: '/srv', mountInfo }));
  });
});
