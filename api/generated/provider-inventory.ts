// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * ProviderInventory holds what only a machine's owner and admins should see of it: addresses and the full inventory. It has its Provider's name.
 */
export interface ProviderInventory {
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
   * Whose machine this is.
   */
  spec: {
    /**
     * The member who lends the machine.
     */
    owner: string;
    /**
     * The uid of the Provider of the same name.
     */
    providerUID: string;
  };
  /**
   * What the agent measured.
   */
  status?: {
    /**
     * When this was measured.
     */
    measuredAt?: string;
    /**
     * The machine's own host name.
     */
    hostname?: string;
    /**
     * The machine's id, as in /etc/machine-id.
     */
    machineID?: string;
    /**
     * The machine's addresses, by interface.
     *
     * Items: One address.
     */
    addresses?: {
      /**
       * The interface's name.
       */
      interface: string;
      /**
       * The address, with its prefix length.
       */
      address: string;
    }[];
    /**
     * The processors.
     */
    cpu?: {
      /**
       * The processor's model name.
       */
      model?: string;
      /**
       * Processor packages.
       */
      sockets?: number;
      /**
       * Physical cores.
       */
      cores?: number;
      /**
       * Logical processors.
       */
      threads?: number;
      /**
       * The physical cores, each with its logical processors.
       *
       * Items: One physical core.
       */
      topology?: {
        /**
         * The processor package's number.
         */
        package: number;
        /**
         * The core's number in its package.
         */
        core: number;
        /**
         * The numbers of the core's logical processors.
         */
        threads: number[];
      }[];
    };
    /**
     * The machine's memory.
     */
    memory?: number | string;
    /**
     * The file systems that instances may use.
     *
     * Items: One file system.
     */
    disks?: {
      /**
       * Where it is mounted or looked at.
       */
      path: string;
      /**
       * Its type.
       */
      fileSystem?: string;
      /**
       * Its size in bytes.
       */
      size?: number | string;
      /**
       * What is free of it, in bytes.
       */
      free?: number | string;
    }[];
    /**
     * Graphics processors that instances may have.
     *
     * Items: One of them.
     */
    gpus?: {
      /**
       * The driver's name for it, for example GPU-2d0c….
       */
      id: string;
      /**
       * The name of the model.
       */
      model?: string;
    }[];
    /**
     * The container engine.
     */
    engine?: {
      /**
       * Its name.
       */
      name?: string;
      /**
       * Its version.
       */
      version?: string;
      /**
       * Its storage driver.
       */
      storageDriver?: string;
      /**
       * 1 or 2.
       */
      cgroupVersion?: number;
      /**
       * The runtimes that it knows.
       */
      runtimes?: string[];
    };
  };
}
