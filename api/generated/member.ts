// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * Member is a person of the group: profile, SSH keys, and what they may do. Each has a namespace of the same name, where they may do what their permissions say.
 */
export interface Member {
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
   * Who the member is, and what they may do.
   */
  spec: {
    /**
     * The name that people read.
     */
    displayName?: string;
    /**
     * Where the member is reached.
     */
    email?: string;
    /**
     * Public keys that open the member's instances, one line each, as in OpenSSH's authorized_keys without options.
     *
     * Items: One public key, for example `ssh-ed25519 AAAA… toto@laptop`. Its type is ssh-ed25519, ssh-rsa (at least 2048 bits), ecdsa-sha2-nistp256, -nistp384, -nistp521, or one of the security keys sk-ssh-ed25519@openssh.com and sk-ecdsa-sha2-nistp256@openssh.com.
     */
    sshKeys?: string[];
    /**
     * Use may create instances in the member's own namespace; Lend may add machines to the pool; Admin may do everything in the pool. Only admins change this.
     *
     * Items: One permission.
     */
    permissions?: ('Use' | 'Lend' | 'Admin')[];
    /**
     * What all instances of the member may ask for together, as `hard` of a ResourceQuota. Only admins change this. An empty map has no bounds.
     */
    quota?: {
      /**
       * A quantity in Kubernetes' form.
       */
      [k: string]: number | string;
    };
  };
  /**
   * What is so. Written by members, the controller's duty.
   */
  status?: {
    /**
     * The generation of the spec that this status answers.
     */
    observedGeneration?: number;
    /**
     * The member's namespace, once it is theirs.
     */
    namespace?: string;
    /**
     * The keys of the spec as OpenSSH names them, in its order.
     *
     * Items: One key.
     */
    sshKeys?: {
      /**
       * The key's algorithm, for example ssh-ed25519.
       */
      type: string;
      /**
       * The key's length.
       */
      bits?: number;
      /**
       * As `ssh-keygen -l` prints it, for example `SHA256:…`.
       */
      fingerprint: string;
      /**
       * What follows the key on its line.
       */
      comment?: string;
    }[];
    /**
     * What holds and what does not, with reasons.
     *
     * Items: One condition, in Kubernetes' form.
     */
    conditions?: {
      /**
       * The condition's name.
       */
      type: string;
      /**
       * Whether it holds.
       */
      status: 'True' | 'False' | 'Unknown';
      /**
       * The generation that the condition answers.
       */
      observedGeneration?: number;
      /**
       * When status last changed.
       */
      lastTransitionTime: string;
      /**
       * Why, in one CamelCase word.
       */
      reason: string;
      /**
       * Why, in one sentence.
       */
      message: string;
    }[];
  };
}
