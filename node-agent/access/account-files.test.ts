import assert from 'node:assert/strict';
import { accountFiles } from './account-files.ts';
import { parseImageFacts } from './image-facts.ts';
import type { ImageFacts } from './image-facts.ts';
import { sshdConfig } from './sshd-config.ts';

const debian: ImageFacts = {
  uid: 0,
  gid: 0,
  name: 'root',
  home: '/root',
  shell: '/bin/bash',
  hasTemporary: true,
  passwd: 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n',
  group: 'root:x:0:\ntty:x:5:\n',
  environment: ['PATH=/opt/bin:/bin', 'A=b "c" \\d', 'HOME=/elsewhere', 'SSH_X=1', 'BAD\nNAME=1', 'TWO=lines\nhere'],
};
const empty: ImageFacts = { uid: 1234, gid: 99, hasTemporary: false, passwd: '', group: '', environment: [] };

describe('accountFiles()', () => {
  it('has the image’s accounts, the common login as whom the image runs as, and sshd’s own', () => {
    const { passwd, shell } = accountFiles(debian);
    assert.deepEqual(passwd.split('\n'), [
      'root:*:0:0::/root:/.potluck/current/wrap/login',
      'potluck:*:0:0::/root:/.potluck/current/wrap/login',
      'daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin',
      'sshd:*:65533:65533::/run/sshd:/bin/false',
      '',
    ]);
    assert.equal(shell, '/bin/bash\n');
  });

  it('makes up what an empty image has not, with the group of terminals, without which sshd gives none', () => {
    const { passwd, group, shadow, shell } = accountFiles(empty);
    assert.match(passwd, /^potluck:\*:1234:99::\/:/);
    assert.equal(group, 'tty:x:5:\npotluck:x:99:\n');
    assert.equal(shadow, 'potluck:*:::::::\nsshd:*:::::::\n');
    assert.equal(shell, '/.potluck/current/wrap/sh\n');
  });

  it('takes no line of an image that is not an account, and no second one of a name', () => {
    const hostile = [
      'root:x:1:1::/:/bin/sh',
      'evil',
      'a:b:c:d:e:f:g',
      'x\u0000:x:1:1::/:/bin/sh',
      '-o:x:1:1::/:/bin/sh',
      'sshd:x:0:0::/:/bin/sh',
      'ok:x:5:5::/:/bin/sh',
    ];
    const { passwd } = accountFiles({ ...debian, passwd: hostile.join('\n') });
    assert.deepEqual(
      passwd.split('\n').map((line) => line.split(':')[0]),
      ['root', 'potluck', 'ok', 'sshd', ''],
    );
  });

  it('gives one who is not root no other account: sshd could not become it', () => {
    assert.doesNotMatch(accountFiles({ ...debian, uid: 1234, name: 'app' }).passwd, /daemon/);
  });
});

describe('sshdConfig()', () => {
  it('passes on what the container was given, quoted, and nothing that is sshd’s or spans lines', () => {
    const [, set = ''] = /^SetEnv (.*)$/m.exec(sshdConfig(debian)) ?? [];
    assert.equal(set, '"PATH=/opt/bin:/bin:/.potluck/current/wrap" "A=b \\"c\\" \\\\d"');
  });

  it('knows neither passwords nor anything else but keys', () => {
    const config = sshdConfig(empty);
    for (const line of [
      'AuthenticationMethods publickey',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'UsePAM no',
      'PermitUserEnvironment no',
    ])
      assert.ok(config.split('\n').includes(line), line);
    assert.match(config, /current\/wrap:\/\.potluck\/current\/applets/, 'an image without a shell gets all of busybox');
  });
});

describe('parseImageFacts()', () => {
  it('reads what the script says', () => {
    const encode = (text: string): string => Buffer.from(text).toString('base64');
    const lines = [
      'uid 1234',
      'gid 5',
      'name app',
      'home /home/app',
      'shell ',
      'temporary no',
      `passwd ${encode('p')}`,
      'group ',
      `environment ${encode('A=1\0B=2\0')}`,
    ];
    const wanted = {
      uid: 1234,
      gid: 5,
      name: 'app',
      home: '/home/app',
      hasTemporary: false,
      passwd: 'p',
      group: '',
      environment: ['A=1', 'B=2'],
    };
    assert.deepEqual(parseImageFacts(lines), wanted);
  });

  it('takes nothing that would become another field or another user', () => {
    assert.throws(() => parseImageFacts(['uid -1', 'gid 0']), /does not say its uid/);
    assert.throws(() => parseImageFacts(['uid 0']), /does not say its gid|its gid/);
    const { name, home } = parseImageFacts(['uid 0', 'gid 0', 'name a:b', 'home /a:b']);
    assert.deepEqual([name, home], [undefined, undefined]);
  });
});
