// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * Provider is a machine that a member lends to the pool, with what its owner offers of it.
 */
export interface Provider {
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
   * What the owner lends.
   */
  spec: {
    /**
     * The member who lends the machine.
     */
    owner: string;
    /**
     * Where the machine is, roughly. Coordinates are rounded to 0.1 degree.
     */
    location?: {
      /**
       * A name that the pool gives to a part of the world, for example eu-west.
       */
      region?: string;
      /**
       * Degrees north, from -90 to 90.
       */
      latitude?: number;
      /**
       * Degrees east, from -180 to 180.
       */
      longitude?: number;
    };
    /**
     * The most that all instances together may have, by resource: cpu, memory, disk, pids, ingress-bandwidth, egress-bandwidth, nvidia.com/gpu. What the machine has less of counts as what it has; graphics processors that are not offered are not lent.
     */
    offer: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * The most that one instance may have, by resource. The offer where absent.
     */
    perInstanceMax?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * The largest image that is taken, by the bytes that it has on the disk. What the disk has room for where absent.
     */
    maxImageSize?: number | string;
    /**
     * The owner's switch. False takes no new instances, and after the grace period stops those that run, has them placed elsewhere and removes them here.
     */
    available?: boolean;
    /**
     * The machine's permanent identity: its public Ed25519 key, 32 bytes in base64url. Written when the machine joins; it stays as long as the object. A machine whose key is lost joins anew.
     */
    identityKey?: string;
    /**
     * The machine is no longer believed, and what connects it is cut. This cannot be taken back; delete the Provider, and let it join anew.
     */
    revoked?: boolean;
    /**
     * How long running instances may stay after available became false.
     */
    withdrawalGraceSeconds?: number;
    /**
     * What keeps instances away that do not tolerate it.
     *
     * Items: One taint, as in Kubernetes.
     */
    taints?: {
      /**
       * The taint's key.
       */
      key: string;
      /**
       * The taint's value.
       */
      value?: string;
      /**
       * NoSchedule keeps instances away; PreferNoSchedule does where another provider fits.
       */
      effect: 'NoSchedule' | 'PreferNoSchedule';
    }[];
  };
  /**
   * What is so. Written by the provider's agent and by provider-lifecycle.
   */
  status?: {
    /**
     * The generation of the spec that this status answers.
     */
    observedGeneration?: number;
    /**
     * One word for the provider's state.
     */
    phase?: 'Pending' | 'Ready' | 'NotReady' | 'Unknown' | 'Withdrawing' | 'Withdrawn';
    /**
     * What the machine has, measured.
     */
    capacity?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * The least of what is offered, what the owner's policy allows and what was measured. Placement uses only this.
     */
    allocatable?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * What the owner's policy file on the machine says, as far as placement must know it. Absent while there is no such file. Written by the agent, which holds the machine to the file, whatever stands here.
     */
    ownerPolicy?: {
      /**
       * Whether instances may run now.
       */
      open: boolean;
      /**
       * Why they may not; StopNow, OutsideHours or Unreadable.
       */
      reason?: string;
      /**
       * When the hours next open or close the machine.
       */
      nextChange?: string;
      /**
       * The most that all instances together may have.
       */
      total?: {
        /**
         * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
         */
        [k: string]: number | string;
      };
      /**
       * The most that one instance may have.
       */
      perInstance?: {
        /**
         * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
         */
        [k: string]: number | string;
      };
      /**
       * Patterns of images that may run, and of those that may not.
       */
      images?: {
        /**
         * One of these must match. Absent, anything does.
         */
        allow?: string[];
        /**
         * None of these may match.
         */
        deny?: string[];
      };
      /**
       * Members whose instances may run, and those whose may not, by the name of their namespace.
       */
      members?: {
        /**
         * Only these. Absent, all.
         */
        allow?: string[];
        /**
         * None of these.
         */
        deny?: string[];
      };
      /**
       * The runtimes that may be used. Absent, all.
       */
      runtimes?: string[];
    };
    /**
     * Which limits bite on this machine, as its agent found by trying.
     */
    enforcement?: {
      /**
       * Quota holds an instance to its CPU limit.
       */
      cpu?: 'Quota' | 'None';
      /**
       * Hard ends what exceeds its memory limit.
       */
      memory?: 'Hard' | 'None';
      /**
       * Quota refuses a write over the disk limit; Watchdog pauses and stops an instance soon after.
       */
      disk?: 'Quota' | 'Watchdog' | 'None';
      /**
       * Hard refuses a process over the limit.
       */
      pids?: 'Hard' | 'None';
      /**
       * Shaped holds what an instance receives to its limit.
       */
      ingress?: 'Shaped' | 'None';
      /**
       * Shaped holds what an instance sends to its limit.
       */
      egress?: 'Shaped' | 'None';
      /**
       * Walled keeps instances from the owner's network and from each other.
       */
      isolation?: 'Walled' | 'None';
      /**
       * Available where instances can run under gVisor with a network.
       */
      sandbox?: 'Available' | 'None';
      /**
       * When the machine was last tried.
       */
      probedAt?: string;
      /**
       * What was seen, one sentence for each kind.
       */
      evidence?: {
        [k: string]: string;
      };
    };
    /**
     * What instances that are placed here have reserved of allocatable. The sum of the provider's ledger, written by the controller.
     */
    reserved?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * allocatable less reserved, none where more is reserved. Written by the controller.
     */
    left?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * What instances use together: cpu (cores, over usageWindow), memory (working sets, bytes), disk (bytes that they wrote), ingress-bytes and egress-bytes (received and sent since the agent started). What the owner uses is not in it. Written by the agent.
     */
    used?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * When used was measured, by the provider's clock.
     */
    usageMeasuredAt?: string;
    /**
     * The time that used.cpu is the average over, for example 30s.
     */
    usageWindow?: string;
    /**
     * When the machine said that it leaves the pool (`potluck leave`). It counts as withdrawn from then on. Written by its agent.
     */
    leavingAt?: string;
    /**
     * When provider-lifecycle saw that the owner withdrew the machine; the grace period counts from here.
     */
    withdrawnAt?: string;
    /**
     * What runs the instances.
     */
    systemInfo?: {
      /**
       * The CPU architecture, in Go's names, for example amd64 or arm64.
       */
      architecture?: string;
      /**
       * The operating system's name and version.
       */
      operatingSystem?: string;
      /**
       * The kernel's release.
       */
      kernelVersion?: string;
      /**
       * The container engine's name and version.
       */
      engineVersion?: string;
      /**
       * The version of the agent.
       */
      agentVersion?: string;
      /**
       * 1 or 2.
       */
      cgroupVersion?: number;
      /**
       * Physical cores.
       */
      cores?: number;
      /**
       * Logical processors.
       */
      threads?: number;
    };
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
