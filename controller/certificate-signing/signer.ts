/** What the duty needs of cryptography; who composes the program implements it. */

export interface SubjectAttribute {
  /** `CN`, `O`, …, or an object identifier. */
  type: string;
  /** Text; `#` and hexadecimal digits where the request has something else. */
  value: string;
}

/** What a request for a certificate says, whose own signature holds. */
export interface ReadRequest {
  problem?: undefined;
  /** As it was signed. */
  der: Uint8Array;
  /** Why no certificate of ours can be for its key. */
  keyProblem: string | undefined;
  subject: readonly SubjectAttribute[];
}

export interface CertificateOrder {
  /** `spec.request` of the signing request. */
  request: string;
  subject: readonly SubjectAttribute[];
  keyEncipherment: boolean;
  lifetimeMs: number;
}

export interface IdentityProof {
  /** 32 bytes. */
  key: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
  message: Uint8Array;
}

export interface CertificateSigner {
  /** Of `spec.request`. Never throws. */
  read(request: string): ReadRequest | { problem: string };
  /** Whether an Ed25519 signature holds. Never throws. */
  verifyIdentity(proof: IdentityProof): boolean;
  /** A client's certificate for the key of the request, as base64 of PEM: `status.certificate`. Rejects when the authority cannot be read. */
  sign(order: CertificateOrder): Promise<string>;
}
