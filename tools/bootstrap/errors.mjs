/**
 * What the first step says when it cannot go on. It runs on Node 20 and cannot import `api/errors.ts`, so it keeps these few of the codes
 * there; `bootstrap.test.ts` ties the two together.
 */
export const bootstrapErrorCodes = /** @type {const} */ ({
  DISK_FULL: 'PLK004',
  NOT_ROOT: 'PLK005',
  UNSUPPORTED_SYSTEM: 'PLK006',
  NODE_TOO_OLD: 'PLK007',
  DOWNLOAD_FAILED: 'PLK015',
});

/** Something that a person must act on; printed as one line. */
export class BootstrapError extends Error {
  /**
   * @param {keyof typeof bootstrapErrorCodes} name
   * @param {string} what what was wrong and where, without a full stop
   * @param {string} remedy what to do about it
   */
  constructor(name, what, remedy) {
    super(what);
    this.name = 'BootstrapError';
    this.code = bootstrapErrorCodes[name];
    this.remedy = remedy;
  }

  /** @override */
  toString() {
    return `${this.code} ${this.message}. ${this.remedy}`;
  }
}
