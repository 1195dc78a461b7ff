import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSshKeyPair } from './ssh-key-pair.ts';

describe('makeSshKeyPair()', () => {
  it('makes what ssh-keygen reads, whatever the comment', () => {
    const directory = mkdtempSync(join(tmpdir(), 'potluck-key-'));
    try {
      for (const comment of ['', 'a', 'toto/box', 'seven77', 'eight888']) {
        const { privatePem, publicLine } = makeSshKeyPair(comment);
        const file = join(directory, `key${comment.length}`);
        writeFileSync(file, privatePem, { mode: 0o600 });
        assert.equal(execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' }).trim(), `${publicLine} ${comment}`.trim());
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('makes another each time', () => {
    assert.notEqual(makeSshKeyPair('').publicLine, makeSshKeyPair('').publicLine);
  });
});
