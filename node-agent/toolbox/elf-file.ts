/** What a program or library for Linux says that it needs: the few fields of its ELF headers, as elf(5) has them. Pure. */

export interface ElfNeeds {
  /** Names of libraries, as `libc.so.6`. */
  libraries: string[];
  /** The loader that the kernel starts it by; absent for libraries and for programs that need none. */
  interpreter?: string;
}

const magic = 0x7f454c46;
const segments = { load: 1, dynamic: 2, interpreter: 3 } as const;
const tags = { end: 0n, needed: 1n, stringTable: 5n } as const;

interface Segment {
  type: number;
  offset: number;
  address: bigint;
  fileSize: number;
}

/** Undefined for what is no 64-bit little-endian ELF file: the machines that Potluck runs on have no other. */
export function readElf(file: Buffer): ElfNeeds | undefined {
  if (file.length < 64 || file.readUInt32BE(0) !== magic || file[4] !== 2 || file[5] !== 1) return undefined;
  const all = readSegments(file);
  const interpreter = all.find(({ type }) => type === segments.interpreter);
  return {
    libraries: readLibraries(file, all),
    ...(interpreter === undefined ? {} : { interpreter: textAt(file, interpreter.offset) }),
  };
}

function readSegments(file: Buffer): Segment[] {
  const [offset, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const at = offset + index * size;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      fileSize: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function readLibraries(file: Buffer, all: readonly Segment[]): string[] {
  const dynamic = all.find(({ type }) => type === segments.dynamic);
  if (dynamic === undefined) return [];
  const needed: bigint[] = [];
  let strings = 0n;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.fileSize; at += 16) {
    const [tag, value] = [file.readBigInt64LE(at), file.readBigUInt64LE(at + 8)];
    if (tag === tags.end) break;
    if (tag === tags.needed) needed.push(value);
    if (tag === tags.stringTable) strings = value;
  }
  const table = offsetOf(strings, all);
  return needed.map((offset) => textAt(file, table + Number(offset)));
}

/** Of an address in memory, where it is in the file. */
function offsetOf(address: bigint, all: readonly Segment[]): number {
  const segment = all.find(
    (each) => each.type === segments.load && address >= each.address && address < each.address + BigInt(each.fileSize),
  );
  if (segment === undefined) throw new RangeError(`no segment holds the address ${address}`);
  return segment.offset + Number(address - segment.address);
}

function textAt(file: Buffer, offset: number): string {
  return file.toString('latin1', offset, file.indexOf(0, offset));
}
