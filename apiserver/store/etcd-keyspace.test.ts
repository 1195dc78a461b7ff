import assert from 'node:assert/strict';
import { EtcdKeyspace, endOfPrefix, revisionNumber } from './etcd-keyspace.ts';

describe('EtcdKeyspace', () => {
  it('puts its prefix before every key and takes it off again', () => {
    const keyspace = new EtcdKeyspace('/pool');
    assert.equal(keyspace.key('/a/b').toString(), '/pool/a/b');
    assert.equal(keyspace.decodeKey(Buffer.from('/pool/a/b')), '/a/b');
    assert.deepEqual(keyspace.range('/a/'), { key: Buffer.from('/pool/a/'), range_end: Buffer.from('/pool/a0') });
    assert.deepEqual(keyspace.range('/a/', '/a/m'), { key: Buffer.from('/pool/a/m'), range_end: Buffer.from('/pool/a0') });
  });

  it('range() of everything is what etcd takes for everything', () => {
    assert.deepEqual(new EtcdKeyspace('').range(''), { key: Buffer.of(0), range_end: Buffer.of(0) });
  });

  it('endOfPrefix() carries over bytes that are 255', () => {
    assert.deepEqual(endOfPrefix(Buffer.of(1, 0xff, 0xff)), Buffer.of(2));
    assert.deepEqual(endOfPrefix(Buffer.of(0xff)), Buffer.of(0));
  });

  it('revisionNumber() refuses what a number cannot hold exactly', () => {
    assert.equal(revisionNumber('9007199254740991'), 2 ** 53 - 1);
    assert.throws(() => revisionNumber('9007199254740992'), RangeError);
  });
});
