/**
 * The catalogue of what our commands and processes say when they cannot go on. `docs/errors.md` explains each; a test holds the two together.
 * Answers of the API are Kubernetes `Status` objects and not listed here.
 */
export const errorCatalogue = {
  PORT_IN_USE: 'PLK001',
  ETCD_MISSING: 'PLK002',
  DOCKER_MISSING: 'PLK003',
  DISK_FULL: 'PLK004',
  NOT_ROOT: 'PLK005',
  UNSUPPORTED_SYSTEM: 'PLK006',
  NODE_TOO_OLD: 'PLK007',
  ETCD_UNREACHABLE: 'PLK008',
  API_UNREACHABLE: 'PLK009',
  BAD_ARGUMENT: 'PLK010',
  ALREADY_RUNNING: 'PLK011',
  ENGINE_UNREACHABLE: 'PLK012',
  PROVIDER_MISMATCH: 'PLK013',
  STATE_DAMAGED: 'PLK014',
  DOWNLOAD_FAILED: 'PLK015',
  POOL_NOT_TRUSTED: 'PLK016',
  SERVER_NAME_MISMATCH: 'PLK017',
  TOKEN_REFUSED: 'PLK018',
  JOIN_REFUSED: 'PLK019',
  JOIN_PENDING: 'PLK020',
  ALREADY_JOINED: 'PLK021',
  NOT_JOINED: 'PLK022',
  LEAVE_UNFINISHED: 'PLK023',
  API_REFUSED: 'PLK024',
} as const;

export type ErrorName = keyof typeof errorCatalogue;

/** Something that a person must act on: one line that says what was wrong and where, and one that says what to do. */
export class UserError extends Error {
  readonly code: string;
  readonly remedy: string;

  constructor(name: ErrorName, what: string, remedy: string, options?: ErrorOptions) {
    super(what, options);
    this.name = 'UserError';
    this.code = errorCatalogue[name];
    this.remedy = remedy;
  }

  /** The one line that a command prints before it exits with 1. */
  override toString(): string {
    return `${this.code} ${this.message}. ${this.remedy}`;
  }
}
