/** Manifests that tests write; small, and whole, so that a test shows only what it is about. */
import type { Instance } from '../../api/generated/instance.ts';
import { testImage } from './image.ts';

export interface InstanceOptions {
  image?: string;
  namespace?: string;
  command?: string[];
  requests?: Record<string, string>;
  limits?: Record<string, string>;
  placement?: Instance['spec']['placement'];
  powerState?: 'Running' | 'Stopped';
  restartPolicy?: 'Always' | 'OnFailure' | 'Never';
}

/** An instance that waits for ever, unless told otherwise. */
export function instanceManifest(name: string, options: InstanceOptions = {}): Instance {
  return {
    apiVersion: 'potluck.dev/v1alpha1',
    kind: 'Instance',
    metadata: { name, namespace: options.namespace ?? 'default' },
    spec: {
      image: options.image ?? testImage,
      command: options.command ?? ['sleep', '1000000'],
      resources: {
        requests: { cpu: '100m', memory: '32Mi', disk: '64Mi', ...options.requests },
        ...(options.limits === undefined ? {} : { limits: options.limits }),
      },
      ...(options.placement === undefined ? {} : { placement: options.placement }),
      ...(options.powerState === undefined ? {} : { powerState: options.powerState }),
      ...(options.restartPolicy === undefined ? {} : { restartPolicy: options.restartPolicy }),
    },
  };
}
