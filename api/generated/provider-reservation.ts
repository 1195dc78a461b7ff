// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * ProviderReservation is the ledger of what is given away of one provider. Placement reserves here by compare-and-set before it binds, so that no number of schedulers overfills a provider. It has its Provider's name.
 */
export interface ProviderReservation {
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
   * What is reserved.
   */
  spec: {
    /**
     * The uid of the Provider of the same name. A provider that joined anew has another.
     */
    providerUID: string;
    /**
     * One entry for each instance that has a place here.
     *
     * Items: What one instance has reserved.
     */
    reservations?: {
      /**
       * The uid of the instance.
       */
      instanceUID: string;
      /**
       * The namespace of the instance.
       */
      namespace: string;
      /**
       * The name of the instance.
       */
      name: string;
      /**
       * The epoch of the placement that this is for.
       */
      epoch: number;
      /**
       * What is reserved, by resource.
       */
      amounts: {
        /**
         * A quantity in Kubernetes' form.
         */
        [k: string]: number | string;
      };
      /**
       * The number at the end of the instance's hostname, unique on the provider.
       */
      hostnameNumber: number;
      /**
       * When it was reserved. An entry that no instance is bound to expires after a while.
       */
      reservedAt: string;
    }[];
  };
}
