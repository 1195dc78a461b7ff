import assert from 'node:assert/strict';
import { compareResourceVersions } from './resource-version.ts';

describe('compareResourceVersions()', () => {
  it('compares numbers, also those that a double cannot hold', () => {
    assert.equal(compareResourceVersions('9', '10'), -1);
    assert.equal(compareResourceVersions('10', '9'), 1);
    assert.equal(compareResourceVersions('9007199254740993', '9007199254740992'), 1);
  });

  it('knows only equality where one is no number', () => {
    assert.equal(compareResourceVersions('abc', 'abc'), 0);
    assert.equal(compareResourceVersions('abc', '1'), undefined);
    assert.equal(compareResourceVersions('', '1'), undefined);
  });
});
