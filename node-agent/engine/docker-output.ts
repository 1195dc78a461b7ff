/** Docker's way to send two outputs in one stream: pieces behind eight bytes, of which the first says which and the last four how long. */

export interface OutputPiece {
  /** 1 for standard output, 2 for standard error. */
  output: 1 | 2;
  content: Buffer;
}

const headBytes = 8;
/** Docker sends what it reads at once, 32 KiB, and messages of logs, 16 KiB. */
const longestPiece = 1024 * 1024;

/** Finds pieces in bytes that are cut anywhere; keeps at most one unfinished piece. */
export class DockerOutputDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** Throws for what Docker does not send. */
  push(bytes: Buffer): OutputPiece[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const pieces: OutputPiece[] = [];
    while (this.#pending.length >= headBytes) {
      const length = this.#pending.readUInt32BE(4);
      const [output = 0] = this.#pending;
      if (length > longestPiece || output > 3) throw new Error('the container engine sent what is no output');
      if (this.#pending.length < headBytes + length) break;
      pieces.push({ output: output === 2 ? 2 : 1, content: this.#pending.subarray(headBytes, headBytes + length) });
      this.#pending = this.#pending.subarray(headBytes + length);
    }
    return pieces;
  }
}
