/** Picks the user ids that instances have on the host: root inside an instance is one of these outside, and nobody else's. Pure. */

/** `[first, first + count)`. */
export interface IdRange {
  first: number;
  count: number;
}

/** What one instance can use: 16 bits of users, as nearly every image expects. */
export const idsOfInstances = 65_536;
/**
 * systemd's table of user ids leaves these to nobody, and `useradd` hands out none so high: an account that the owner makes later gets a
 * range of its own. (https://systemd.io/UIDS-GIDS/)
 */
const unusedIds: IdRange = { first: 0x7000_0000, count: 0x7ffe_0000 - 0x7000_0000 };
/** Ranges that several pools on one machine choose from. */
const candidates = unusedIds.count / idsOfInstances;

/** Lines of `/etc/subuid`: `name:first:count`. What cannot be read claims nothing. */
export function parseIdRanges(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const match = /^[^:#]+:(\d+):(\d+)\s*$/.exec(line);
    return match === null ? [] : [{ first: Number(match[1]), count: Number(match[2]) }];
  });
}

/** Lines of `/proc/self/uid_map`: the ids that exist here at all, which in a container are few. */
export function parseIdMap(text: string): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first === undefined || count === undefined || Number.isNaN(count) ? [] : [{ first, count }];
  });
}

/** A range that `taken` does not touch and that `existing` holds; the search begins at candidate number `start`. Undefined when there is none. */
export function chooseIdRange(taken: readonly IdRange[], existing: readonly IdRange[], start: number): IdRange | undefined {
  for (let index = 0; index < candidates; index += 1) {
    const range = { first: unusedIds.first + ((start + index) % candidates) * idsOfInstances, count: idsOfInstances };
    if (existing.some((whole) => holds(whole, range)) && !taken.some((other) => touches(other, range))) return range;
  }
  return undefined;
}

function holds(whole: IdRange, part: IdRange): boolean {
  return whole.first <= part.first && part.first + part.count <= whole.first + whole.count;
}

function touches(a: IdRange, b: IdRange): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}
