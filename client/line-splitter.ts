/**
 * Cuts a stream of bytes into lines without ever holding more than one line of `maxBytes`. A character that is cut between two chunks stays
 * whole, as bytes are joined before they are decoded.
 */
export interface LineSplitter {
  /** Answers the lines that are complete now, without their ends; empty ones are left out. Throws RangeError on a line that is too long. */
  push(chunk: Buffer): string[];
  /** Bytes of the line that has not ended yet. */
  readonly pendingBytes: number;
}

export function createLineSplitter(maxBytes: number): LineSplitter {
  let parts: Buffer[] = [];
  let pendingBytes = 0;

  function take(chunk: Buffer): void {
    pendingBytes += chunk.length;
    if (pendingBytes > maxBytes) throw new RangeError(`a line is longer than ${maxBytes} bytes`);
    if (chunk.length > 0) parts.push(chunk);
  }

  return {
    push(chunk) {
      const lines: string[] = [];
      let start = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        take(chunk.subarray(start, end));
        const line = Buffer.concat(parts).toString('utf8').trim();
        if (line !== '') lines.push(line);
        parts = [];
        pendingBytes = 0;
        start = end + 1;
      }
      take(chunk.subarray(start));
      return lines;
    },
    get pendingBytes() {
      return pendingBytes;
    },
  };
}
