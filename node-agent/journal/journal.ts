/**
 * What the agent must not forget, in one file: written as a whole, to the disk, before what it tells of is done. Several changes that come
 * together are one write.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../../runtime/logger.ts';
import type { JournalEntry } from '../plan/world.ts';

export interface Journal {
  /** By instance uid, as of now. */
  readonly entries: ReadonlyMap<string, JournalEntry>;
  /** Resolves when it is on the disk. */
  put(entry: JournalEntry): Promise<void>;
  delete(uid: string): Promise<void>;
  /** Resolves when all that was put is on the disk. */
  close(): Promise<void>;
}

interface JournalFile {
  version: 1;
  entries: JournalEntry[];
}

/** Opens the file, or makes it. One that cannot be read is set aside: what it held is found again on containers and in the API. */
export async function openJournal(path: string, logger: Logger): Promise<Journal> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const entries = await readEntries(path, logger);
  return new FileJournal(path, new Map(entries.map((entry) => [entry.uid, entry])));
}

async function readEntries(path: string, logger: Logger): Promise<JournalEntry[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const file = parse(text);
  if (file !== undefined) return file.entries;
  const aside = `${path}.damaged`;
  await rename(path, aside);
  logger.warn('the journal was damaged and is made anew from what runs', { keptAs: aside });
  return [];
}

function parse(text: string): JournalFile | undefined {
  try {
    const file = JSON.parse(text) as Partial<JournalFile> | null;
    if (file?.version !== 1 || !Array.isArray(file.entries) || !file.entries.every(isEntry)) return undefined;
    return file as JournalFile;
  } catch {
    return undefined;
  }
}

function isEntry(entry: Partial<JournalEntry> | null): boolean {
  return (
    typeof entry?.uid === 'string' &&
    Number.isSafeInteger(entry.epoch) &&
    Number.isSafeInteger(entry.restartCount) &&
    Number.isSafeInteger(entry.crashCount) &&
    typeof entry.stopRequested === 'boolean'
  );
}

class FileJournal implements Journal {
  readonly entries: Map<string, JournalEntry>;
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();
  /** The write that has not begun and will hold everything that is put until then. */
  #next: Promise<void> | undefined;

  constructor(path: string, entries: Map<string, JournalEntry>) {
    this.#path = path;
    this.entries = entries;
  }

  async put(entry: JournalEntry): Promise<void> {
    this.entries.set(entry.uid, entry);
    await this.#flush();
  }

  async delete(uid: string): Promise<void> {
    if (this.entries.delete(uid)) await this.#flush();
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#writing).catch(() => undefined);
  }

  #flush(): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        this.#writing = this.#write();
        return this.#writing;
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const file: JournalFile = { version: 1, entries: [...this.entries.values()] };
    const temporary = `${this.#path}.new`;
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(file)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#path);
    await syncFolder(dirname(this.#path));
  }
}

/** Else the new name may be lost with the power, and with it the file. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
