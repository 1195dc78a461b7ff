import assert from 'node:assert/strict';
import type { IEvent } from 'etcd3';
import { RevisionAssembler } from './etcd-watch.ts';

function event(revision: number, key: string): IEvent {
  const kv = {
    key: Buffer.from(key),
    value: Buffer.alloc(0),
    create_revision: '1',
    mod_revision: String(revision),
    version: '1',
    lease: '0',
  };
  return { type: 'Put', kv, prev_kv: kv };
}

function push(assembler: RevisionAssembler, fragment: boolean, ...events: IEvent[]): string[] {
  return assembler
    .push({ events, fragment })
    .map(({ revision, events: ofRevision }) => `${revision}:${ofRevision.map(({ kv }) => kv.key.toString()).join('')}`);
}

describe('RevisionAssembler', () => {
  it('puts the events of one revision together and keeps the order of revisions', () => {
    const assembler = new RevisionAssembler();
    assert.deepEqual(push(assembler, false, event(4, 'a'), event(4, 'b'), event(6, 'c')), ['4:ab', '6:c']);
    assert.deepEqual(push(assembler, false, event(7, 'a')), ['7:a']);
  });

  it('holds back the last revision of a fragment until the rest has come', () => {
    const assembler = new RevisionAssembler();
    assert.deepEqual(push(assembler, true, event(4, 'a'), event(5, 'b')), ['4:a']);
    assert.equal(assembler.incomplete, true);
    assert.deepEqual(push(assembler, true, event(5, 'c')), []);
    assert.deepEqual(push(assembler, false, event(5, 'd'), event(6, 'e')), ['5:bcd', '6:e']);
    assert.equal(assembler.incomplete, false);
  });

  it('gives out what it held when the next fragment begins a new revision', () => {
    const assembler = new RevisionAssembler();
    assert.deepEqual(push(assembler, true, event(4, 'a')), []);
    assert.deepEqual(push(assembler, false, event(5, 'b')), ['4:a', '5:b']);
  });
});
