/** Which key opens which instance, as the API says now: the jump host's whole right. */
import type { Instance } from '../../api/generated/instance.ts';
import { keyOf, formatKey } from '../../api/object.ts';
import type { Informer } from '../../client/informer.ts';

export const keyIndex = 'ssh-key';
export const hostnameIndex = 'hostname';

/** For the informer of instances. */
export const keyRingIndexes = {
  [keyIndex]: ({ status }: Instance): string[] => [...new Set((status?.ssh?.authorizedKeys ?? []).map(({ key }) => key))],
  [hostnameIndex]: ({ status }: Instance): string[] => (status?.hostname === undefined ? [] : [status.hostname]),
};

export const instancePort = 22;
const suffix = '.potluck';

export class KeyRing {
  readonly #instances: Informer<Instance>;

  constructor(instances: Informer<Instance>) {
    this.#instances = instances;
  }

  /** Whose it is; undefined when it opens nothing. `key`: `type base64`. */
  holderOf(key: string): string | undefined {
    for (const instance of this.#instances.byIndex(keyIndex, key)) {
      const member = memberOf(instance, key);
      if (member !== undefined) return member;
    }
    return undefined;
  }

  /** The instance that this name and port lead to, if the key opens it: who may not enter does not learn what there is. */
  find(host: string, port: number, key: string): Instance | undefined {
    if (port !== instancePort) return undefined;
    const instance = this.#byName(host.toLowerCase());
    return instance !== undefined && memberOf(instance, key) !== undefined ? instance : undefined;
  }

  /** Why what was opened by this key must be cut; undefined when it may go on. */
  whyToCut(opened: Instance, key: string): string | undefined {
    const now = this.#instances.get(formatKey(keyOf(opened)));
    if (now === undefined || now.metadata.uid !== opened.metadata.uid) return 'the instance is gone';
    if (memberOf(now, key) === undefined) return 'the key does not open the instance any more';
    if (now.status?.assignment?.epoch !== opened.status?.assignment?.epoch) return 'the instance moves';
    if (now.metadata.deletionTimestamp !== undefined) return 'the instance is being deleted';
    return now.spec.powerState === 'Stopped' ? 'the instance is being stopped' : undefined;
  }

  #byName(host: string): Instance | undefined {
    const parts = host.endsWith(suffix) ? host.slice(0, -suffix.length).split('.') : [];
    // An instance's name may have dots in it; a namespace's has none.
    const [name, namespace] = [parts.slice(0, -1).join('.'), parts.at(-1)];
    const named = name === '' || namespace === undefined ? undefined : this.#instances.get(`${namespace}/${name}`);
    return named ?? this.#instances.byIndex(hostnameIndex, host)[0];
  }
}

function memberOf({ status }: Instance, key: string): string | undefined {
  return (status?.ssh?.authorizedKeys ?? []).find((each) => each.key === key)?.member;
}
