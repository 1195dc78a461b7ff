/** Copies of all objects that can own or be owned, one informer for each resource, as many as discovery finds. */
import type { KubernetesObject } from '../../api/object.ts';
import { formatKey, keyOf } from '../../api/object.ts';
import type { ChangeHandler, Informer } from '../../client/informer.ts';
import { typeName } from '../discovery.ts';
import type { DiscoveredType } from '../discovery.ts';

/** An object with the resource that it is of. */
export interface Node {
  type: DiscoveredType;
  object: KubernetesObject;
}

export const uidIndex = 'uid';
export const ownerIndex = 'owner';
export const graphIndexes = {
  [uidIndex]: ({ metadata }: KubernetesObject): string[] => (metadata.uid === undefined ? [] : [metadata.uid]),
  [ownerIndex]: ({ metadata }: KubernetesObject): string[] => (metadata.ownerReferences ?? []).map(({ uid }) => uid),
};

interface Watched {
  type: DiscoveredType;
  informer: Informer<KubernetesObject>;
  isSynced: boolean;
}

export class ObjectGraph {
  readonly #createInformer: (type: DiscoveredType) => Informer<KubernetesObject>;
  readonly #onChange: (type: DiscoveredType, ...change: Parameters<ChangeHandler<KubernetesObject>>) => void;
  readonly #watched = new Map<string, Watched>();

  constructor(
    createInformer: (type: DiscoveredType) => Informer<KubernetesObject>,
    onChange: (type: DiscoveredType, ...change: Parameters<ChangeHandler<KubernetesObject>>) => void,
  ) {
    this.#createInformer = createInformer;
    this.#onChange = onChange;
  }

  /** Whether every copy is whole: only then is it known that an object has no dependents. */
  get isWhole(): boolean {
    return [...this.#watched.values()].every(({ isSynced }) => isSynced);
  }

  /** Watches exactly these. */
  async setTypes(types: readonly DiscoveredType[]): Promise<void> {
    const wanted = new Map(types.map((type) => [`${typeName(type)}/${type.version}`, type]));
    const gone = [...this.#watched].filter(([name]) => !wanted.has(name));
    for (const [name] of gone) this.#watched.delete(name);
    for (const [name, type] of wanted) if (!this.#watched.has(name)) this.#watched.set(name, this.#watch(type));
    await Promise.all(gone.map(([, { informer }]) => informer.stop()));
  }

  #watch(type: DiscoveredType): Watched {
    const watched: Watched = { type, informer: this.#createInformer(type), isSynced: false };
    watched.informer.onChange((...change) => this.#onChange(type, ...change));
    watched.informer.start();
    watched.informer.whenSynced().then(
      () => (watched.isSynced = true),
      // Stopped before its first list: nobody asks it any more.
      () => undefined,
    );
    return watched;
  }

  typeOf(apiVersion: string, kind: string): DiscoveredType | undefined {
    for (const { type } of this.#watched.values()) {
      const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
      if (type.kind === kind && type.group === group) return type;
    }
    return undefined;
  }

  get(key: string): Node | undefined {
    const [name = '', objectKey = ''] = key.split('|');
    const watched = this.#watched.get(name);
    const object = watched?.informer.get(objectKey);
    return watched === undefined || object === undefined ? undefined : { type: watched.type, object };
  }

  find(uid: string): Node | undefined {
    return this.#byIndex(uidIndex, uid)[0];
  }

  dependentsOf(uid: string): Node[] {
    return this.#byIndex(ownerIndex, uid);
  }

  #byIndex(index: string, value: string): Node[] {
    return [...this.#watched.values()].flatMap(({ type, informer }) => informer.byIndex(index, value).map((object) => ({ type, object })));
  }

  async stop(): Promise<void> {
    await this.setTypes([]);
  }
}

/** Names an object of any resource: `plural.group/version|namespace/name`. */
export function nodeKey({ type, object }: Node): string {
  return `${typeName(type)}/${type.version}|${formatKey(keyOf(object))}`;
}
