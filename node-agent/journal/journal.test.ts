import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../runtime/logger.ts';
import type { JournalEntry } from '../plan/world.ts';
import { openJournal } from './journal.ts';

describe('the journal', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'potluck-journal-'));
    path = join(directory, 'agent', 'journal.json');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const entry = (uid: string, epoch = 1): JournalEntry => ({ uid, epoch, restartCount: 0, crashCount: 0, stopRequested: false });

  it('remembers across a restart what was put, and not what was deleted', async () => {
    const journal = await openJournal(path, silentLogger);
    await journal.put(entry('a'));
    await journal.put(entry('b', 3));
    await journal.delete('a');
    const again = await openJournal(path, silentLogger);
    assert.deepEqual([...again.entries.values()], [entry('b', 3)]);
  });

  it('is on the disk when put() resolves, also for many at once', async () => {
    const journal = await openJournal(path, silentLogger);
    const puts = Array.from({ length: 100 }, (_, index) => journal.put(entry(`u${index}`)));
    await Promise.race(puts);
    assert.ok((JSON.parse(await readFile(path, 'utf8')) as { entries: unknown[] }).entries.length > 0);
    await Promise.all(puts);
    assert.equal((await openJournal(path, silentLogger)).entries.size, 100);
    assert.deepEqual(await readdir(join(directory, 'agent')), ['journal.json']);
  });

  it('holds the last of several changes of one entry', async () => {
    const journal = await openJournal(path, silentLogger);
    await Promise.all([1, 2, 3, 4, 5].map((epoch) => journal.put(entry('a', epoch))));
    assert.equal((await openJournal(path, silentLogger)).entries.get('a')?.epoch, 5);
  });

  for (const [what, text] of [
    ['is cut off', '{"version":1,"entries":[{"uid":"a"'],
    ['is empty', ''],
    ['is of another kind', '{"version":2,"entries":[]}'],
    ['has an entry without an epoch', '{"version":1,"entries":[{"uid":"a"}]}'],
    ['is null', 'null'],
  ] as const) {
    it(`is set aside and begun anew when it ${what}`, async () => {
      await (await openJournal(path, silentLogger)).put(entry('a'));
      await writeFile(path, text);
      const journal = await openJournal(path, silentLogger);
      assert.equal(journal.entries.size, 0);
      assert.equal(await readFile(`${path}.damaged`, 'utf8'), text);
      await journal.put(entry('b'));
      assert.equal((await openJournal(path, silentLogger)).entries.size, 1);
    });
  }

  it('says when it cannot be written, and goes on when it can again', async () => {
    const journal = await openJournal(path, silentLogger);
    await rm(join(directory, 'agent'), { recursive: true });
    await assert.rejects(journal.put(entry('a')), { code: 'ENOENT' });
    const again = await openJournal(path, silentLogger);
    assert.equal(again.entries.size, 0);
    await journal.put(entry('b'));
    assert.equal((await openJournal(path, silentLogger)).entries.size, 2);
  });
});
