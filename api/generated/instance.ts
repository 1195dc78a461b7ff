// Generated from crds/ by tools/generate-types.ts; do not edit. `npm run generate` writes it anew.
import type {ObjectMeta} from '../object.ts';

/**
 * Instance is a container with a promise: an image, the CPU, memory and disk that it is sure to have, and where it may run.
 */
export interface Instance {
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
   * What the user wants.
   */
  spec: {
    /**
     * Any OCI image reference, for example `debian:12`. A change recreates the container.
     */
    image: string;
    /**
     * Secrets of the instance's namespace, of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg, that open the registry of the image. The provider that pulls it reads them.
     *
     * Items: One secret.
     */
    imagePullSecrets?: {
      /**
       * The secret's name.
       */
      name: string;
    }[];
    /**
     * The entrypoint, as in a Kubernetes container. The image's own is used when this is absent. A change recreates the container.
     */
    command?: string[];
    /**
     * Arguments to the entrypoint. The image's own are used when neither this nor command is given. A change recreates the container.
     */
    args?: string[];
    /**
     * Environment variables of the container. A change recreates the container.
     *
     * Items: One environment variable.
     */
    env?: {
      /**
       * The variable's name.
       */
      name: string;
      /**
       * The variable's value. Not for secrets; whoever can read the instance can read it.
       */
      value?: string;
      /**
       * Where the value comes from instead, in the instance's namespace. It is read when the container is made, and again only when it is made anew. The provider's owner can read it.
       */
      valueFrom?: {
        /**
         * One key of a Secret.
         */
        secretKeyRef?: {
          /**
           * The name of the object.
           */
          name: string;
          /**
           * The key in its data.
           */
          key: string;
          /**
           * Whether the variable is left out where the object or the key is missing; else the container is not made.
           */
          optional?: boolean;
        };
        /**
         * One key of a ConfigMap.
         */
        configMapKeyRef?: {
          /**
           * The name of the object.
           */
          name: string;
          /**
           * The key in its data.
           */
          key: string;
          /**
           * Whether the variable is left out where the object or the key is missing; else the container is not made.
           */
          optional?: boolean;
        };
      };
    }[];
    /**
     * Secrets and ConfigMaps whose keys become environment variables; where names are the same, the last one counts, and env over all. A change recreates the container; a change of the objects themselves does not.
     *
     * Items: One Secret or one ConfigMap.
     */
    envFrom?: {
      /**
       * Stands before each key.
       */
      prefix?: string;
      /**
       * The Secret.
       */
      secretRef?: {
        /**
         * The name of the object.
         */
        name: string;
        /**
         * Whether the object may be missing; else the container is not made without it.
         */
        optional?: boolean;
      };
      /**
       * The ConfigMap.
       */
      configMapRef?: {
        /**
         * The name of the object.
         */
        name: string;
        /**
         * Whether the object may be missing; else the container is not made without it.
         */
        optional?: boolean;
      };
    }[];
    /**
     * The directory that the command starts in, absolute. The image's own when absent. A change recreates the container.
     */
    workingDir?: string;
    /**
     * What the instance is sure to have, and what it can never exceed.
     */
    resources: {
      /**
       * What placement reserves on the provider, by resource: cpu in cores, memory and disk in bytes, nvidia.com/gpu in whole graphics processors. A request of whole cores is pinned to whole cores. Memory is the soft limit.
       */
      requests: {
        /**
         * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
         */
        [k: string]: number | string;
      };
      /**
       * What is enforced, by resource: cpu in cores, memory and disk in bytes, pids as a count, ingress-bandwidth and egress-bandwidth in bits per second, nvidia.com/gpu as requested. Where absent: cpu is the request, memory the provider's perInstanceMax, disk the request, pids 512.
       */
      limits?: {
        /**
         * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
         */
        [k: string]: number | string;
      };
    };
    /**
     * Where the instance may run. A change counts at the next placement.
     */
    placement?: {
      /**
       * Pins the instance to this provider.
       */
      providerName?: string;
      /**
       * Which labels a provider must have, as in Kubernetes.
       */
      providerSelector?: {
        /**
         * Labels with the values that they must have.
         */
        matchLabels?: {
          [k: string]: string;
        };
        /**
         * Requirements on labels; all must hold.
         *
         * Items: One requirement on a label.
         */
        matchExpressions?: {
          /**
           * The label's key.
           */
          key: string;
          /**
           * How the label's value relates to the values.
           */
          operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
          /**
           * The values for In and NotIn; empty for the others.
           */
          values?: string[];
        }[];
      };
      /**
       * Taints of providers that the instance puts up with.
       *
       * Items: One toleration, as in Kubernetes.
       */
      tolerations?: {
        /**
         * The taint's key; empty with operator Exists tolerates every taint.
         */
        key?: string;
        /**
         * Equal compares the value; Exists does not.
         */
        operator?: 'Equal' | 'Exists';
        /**
         * The taint's value, for Equal.
         */
        value?: string;
        /**
         * The taint's effect; empty tolerates every effect.
         */
        effect?: 'NoSchedule' | 'PreferNoSchedule';
      }[];
      /**
       * The region that the provider must be in.
       */
      region?: string;
      /**
       * A place on earth, and how far from it the provider may be.
       */
      near?: {
        /**
         * Degrees north, from -90 to 90.
         */
        latitude: number;
        /**
         * Degrees east, from -180 to 180.
         */
        longitude: number;
        /**
         * The greatest distance along the earth's surface, in kilometres.
         */
        maxDistanceKm: number;
      };
      /**
       * Prefers providers that have fewest of the namespace's instances.
       */
      spread?: {
        /**
         * What the instances are spread over.
         */
        by: 'owner' | 'provider' | 'region';
      };
      /**
       * Levels of enforcement that the provider must have proved, by kind, for example `disk: Quota`. A provider that does better fits too: disk Quota is better than Watchdog, and anything better than None.
       */
      requireEnforcement?: {
        /**
         * One of the levels that Provider.status.enforcement names for this kind.
         */
        [k: string]: string;
      };
    };
    /**
     * Standard is an ordinary container. Sandboxed runs it under gVisor, on providers where that works. A change recreates the container.
     */
    isolation?: 'Standard' | 'Sandboxed';
    /**
     * Running, or Stopped. A stopped instance keeps its place and its disk, and can be started again.
     */
    powerState?: 'Running' | 'Stopped';
    /**
     * What happens when the container ends by itself.
     */
    restartPolicy?: 'Always' | 'OnFailure' | 'Never';
  };
  /**
   * What is so. Written by the scheduler, the controllers and the provider's agent.
   */
  status?: {
    /**
     * The generation of the spec that this status answers.
     */
    observedGeneration?: number;
    /**
     * One word for where the instance is in its life.
     */
    phase?: 'Pending' | 'Assigned' | 'Running' | 'Stopped' | 'Succeeded' | 'Failed' | 'Lost';
    /**
     * The provider that the instance is bound to. Written by the scheduler.
     */
    assignment?: {
      /**
       * The name of the provider.
       */
      providerName: string;
      /**
       * The uid of the provider.
       */
      providerUID: string;
      /**
       * Grows by one with every placement. Who holds an older one stops.
       */
      epoch: number;
    };
    /**
     * The epoch of the latest placement, kept when the assignment is cleared.
     */
    lastEpoch?: number;
    /**
     * The epoch that the agent is acting on.
     */
    observedEpoch?: number;
    /**
     * The instance's name in the pool, `<namespace>-<provider>-<n>`.
     */
    hostname?: string;
    /**
     * The container on the provider, as `docker://<id>`.
     */
    containerID?: string;
    /**
     * The image that the container runs, by digest.
     */
    imageID?: string;
    /**
     * What the image meant when it was first pulled for this instance. Every later placement runs the same bytes, until the image in the spec changes. Absent for an image that came from no registry.
     */
    resolvedImage?: {
      /**
       * The image of the spec that was resolved.
       */
      image: string;
      /**
       * The digest that the registry had for it.
       */
      digest: string;
    };
    /**
     * How often the container was started again since this placement.
     */
    restartCount?: number;
    /**
     * The container's state; one of its members is set.
     */
    state?: {
      /**
       * The container does not run yet.
       */
      waiting?: {
        /**
         * Why, in one word.
         */
        reason?: string;
        /**
         * Why, in one sentence.
         */
        message?: string;
      };
      /**
       * The container runs.
       */
      running?: {
        /**
         * When it was last started.
         */
        startedAt?: string;
      };
      /**
       * The container ended.
       */
      terminated?: {
        /**
         * The exit code of the container's first process.
         */
        exitCode: number;
        /**
         * The signal that ended it, if one did.
         */
        signal?: number;
        /**
         * Completed, Error, OOMKilled or why it could not start.
         */
        reason?: string;
        /**
         * More about the end.
         */
        message?: string;
        /**
         * When it was started.
         */
        startedAt?: string;
        /**
         * When it ended.
         */
        finishedAt?: string;
        /**
         * The container that ended, as `docker://<id>`.
         */
        containerID?: string;
      };
    };
    /**
     * The container's state; one of its members is set.
     */
    lastState?: {
      /**
       * The container does not run yet.
       */
      waiting?: {
        /**
         * Why, in one word.
         */
        reason?: string;
        /**
         * Why, in one sentence.
         */
        message?: string;
      };
      /**
       * The container runs.
       */
      running?: {
        /**
         * When it was last started.
         */
        startedAt?: string;
      };
      /**
       * The container ended.
       */
      terminated?: {
        /**
         * The exit code of the container's first process.
         */
        exitCode: number;
        /**
         * The signal that ended it, if one did.
         */
        signal?: number;
        /**
         * Completed, Error, OOMKilled or why it could not start.
         */
        reason?: string;
        /**
         * More about the end.
         */
        message?: string;
        /**
         * When it was started.
         */
        startedAt?: string;
        /**
         * When it ended.
         */
        finishedAt?: string;
        /**
         * The container that ended, as `docker://<id>`.
         */
        containerID?: string;
      };
    };
    /**
     * What the instance uses, by resource: cpu (cores, over usageWindow) and memory (the working set, bytes) while it runs, disk (bytes that it wrote to its own disk), ingress-bytes and egress-bytes (received and sent since the container started).
     */
    usage?: {
      /**
       * A quantity in Kubernetes' form, for example 500m, 2, 1Gi or 20M.
       */
      [k: string]: number | string;
    };
    /**
     * When usage was measured, by the provider's clock.
     */
    usageMeasuredAt?: string;
    /**
     * The time that usage.cpu is the average over, for example 30s.
     */
    usageWindow?: string;
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
