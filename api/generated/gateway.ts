// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * Gateway is a process that machines of the pool connect to, and through which their instances are reached. It makes and keeps the object itself; whether it is there, its lease of the same name in potluck-gateway-leases says.
 */
export interface Gateway {
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
   * How it is reached.
   */
  spec: {
    /**
     * Where agents connect, tried in this order, as host:port; an IPv6 address stands in brackets.
     */
    tunnelAddresses: string[];
    /**
     * Where other gateways and the jump host connect, as host:port.
     */
    peerAddress: string;
    /**
     * The jump host beside it. Absent where there is none.
     */
    ssh?: {
      /**
       * Name or address.
       */
      host: string;
      /**
       * Of TCP.
       */
      port: number;
      /**
       * Its public host key, as in a line of known_hosts, for example ssh-ed25519 and base64.
       */
      hostKey: string;
    };
  };
}
