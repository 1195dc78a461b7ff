/** Sets of logical processors as the kernel writes them: `0-3,8`. Pure. */

/** Sorted numbers, each once. Text that is no such list answers nothing. */
export function parseCpuSet(text: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (match === null) continue;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** The one way to write a set, so that equal sets are equal text. */
export function formatCpuSet(cpus: Iterable<number>): string {
  const sorted = [...new Set(cpus)].sort((a, b) => a - b);
  const ranges: string[] = [];
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1;
    ranges.push(start === end ? String(sorted[start]) : `${String(sorted[start])}-${String(sorted[end])}`);
    start = end + 1;
  }
  return ranges.join(',');
}

export function intersects(a: Iterable<number>, b: Iterable<number>): boolean {
  const inB = new Set(b);
  for (const cpu of a) if (inB.has(cpu)) return true;
  return false;
}
