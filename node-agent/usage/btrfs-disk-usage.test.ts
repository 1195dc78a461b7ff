import assert from 'node:assert/strict';
import { parseQuotaGroups, parseSubvolumes } from './btrfs-disk-usage.ts';

/** Recorded from btrfs-progs 6.2 under dockerd 20.10. */
const subvolumes = `ID 256 gen 12 top level 5 path btrfs/subvolumes/5d1c
ID 257 gen 13 top level 5 path btrfs/subvolumes/77aa-init
ID 258 gen 18 top level 5 path btrfs/subvolumes/77aa
ID 300 gen 18 top level 5 path other
`;
const groups = `qgroupid         rfer         excl\x20
--------         ----         ----\x20
0/5             16384        16384\x20
0/256         2150400      2150400\x20
0/258        59768832     57618432\x20
`;
/** Of btrfs-progs 6.6. */
const newGroups = `Qgroupid    Referenced    Exclusive   Path
--------    ----------    ---------   ----
0/5              16384        16384   <toplevel>
0/258         59768832     57618432   btrfs/subvolumes/77aa
`;

it('parseSubvolumes() finds the layers of the engine', () => {
  assert.deepEqual(
    [...parseSubvolumes(subvolumes)],
    [
      ['5d1c', '256'],
      ['77aa-init', '257'],
      ['77aa', '258'],
    ],
  );
});

it('parseQuotaGroups() takes what is exclusive, in the output of old and new tools', () => {
  for (const text of [groups, newGroups]) assert.equal(parseQuotaGroups(text).get('258'), 57_618_432);
});
