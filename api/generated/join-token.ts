// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * JoinToken lets a machine join the pool in a member's name. Its name is the public part of the token; of the secret part only the hash is kept. Deleting it revokes it: who has joined stays.
 */
export interface JoinToken {
  /**
   * The versioned schema of this object.
   */
  apiVersion: string;
  /**
   * The kind of this object.
   */
  kind: string;
  metadata: ObjectMeta;
  /**
   * Who may join by it. It cannot be changed; make another token instead.
   */
  spec: {
    /**
     * The member whose machine joins by it.
     */
    owner: string;
    /**
     * SHA-256 of the token's secret part as it is written (its ASCII bytes), in lower-case hexadecimal.
     */
    secretHash: string;
    /**
     * From when on it is refused, by the clock of the API server.
     */
    expirationTimestamp: string;
    /**
     * How many machines may join by it.
     */
    uses?: number;
    /**
     * The only name that a machine may join by. Where absent, the machine proposes one.
     */
    providerName?: string;
    /**
     * Automatic lets in who has the token; Manual waits for `kubectl certificate approve` for each machine.
     */
    approval?: 'Automatic' | 'Manual';
  };
  /**
   * Who used it. Written by certificate-signing.
   */
  status?: {
    /**
     * The requests that a use was spent on, in order. Never more than spec.uses.
     *
     * Items: One use.
     */
    claims?: {
      /**
       * The name of the CertificateSigningRequest.
       */
      request: string;
      /**
       * Its uid.
       */
      requestUID: string;
      /**
       * When the use was spent.
       */
      claimedAt: string;
      /**
       * The Provider that the machine became; absent until then.
       */
      providerName?: string;
    }[];
  };
}
