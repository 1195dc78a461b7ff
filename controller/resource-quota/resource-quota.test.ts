import assert from 'node:assert/strict';
import type { KubernetesObject } from '../../api/object.ts';
import type { ResourceQuota } from '../../api/resource-type.ts';
import type { Informer } from '../../client/informer.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { settled } from '../../runtime/controller.ts';
import type { Outcome } from '../../runtime/controller.ts';
import { ResourceQuotas } from './resource-quota.ts';

const key = 'ns/q';
const type = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true, verbs: ['list'] };

/** One quota of secrets, of which `count` are there; time is set by hand. */
class World {
  nowMs = 1_000_000;
  count = 0;
  quota: ResourceQuota;
  readonly written: ResourceQuota[] = [];
  readonly enqueued: [string, number | undefined][] = [];
  readonly controller: ResourceQuotas;
  #tell: (key: string, object: ResourceQuota | undefined, previous: ResourceQuota | undefined) => void = () => undefined;

  constructor(used: string) {
    const hard = { secrets: '5' };
    const metadata = { name: 'q', namespace: 'ns', resourceVersion: '1' };
    this.quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard }, status: { hard, used: { secrets: used } } };
    const quotas: Partial<Informer<ResourceQuota>> = {
      get: () => this.quota,
      byIndex: (_index, namespace) => (namespace === 'ns' ? [this.quota] : []),
      onChange: (handler) => {
        this.#tell = handler;
        handler(key, this.quota, undefined);
        return () => undefined;
      },
    };
    const definitions: Partial<Informer<KubernetesObject>> = { get: () => undefined, onChange: () => () => undefined };
    const list = (): Promise<unknown> => Promise.resolve({ items: Array.from({ length: this.count }, () => ({})) });
    const replaceStatus = (_type: unknown, quota: ResourceQuota): Promise<unknown> => Promise.resolve(this.written.push(quota));
    this.controller = new ResourceQuotas({
      client: { list, replaceStatus } as never,
      quotas: quotas as Informer<ResourceQuota>,
      definitions: definitions as Informer<KubernetesObject>,
      discover: () => Promise.resolve({ types: [type], failures: [] }),
      nowMs: () => this.nowMs,
    });
    this.controller.start((enqueued, delayMs) => this.enqueued.push([enqueued, delayMs]));
  }

  /** The quota as the API server writes it when it sets something aside. */
  reserve(used: string): void {
    const previous = this.quota;
    const metadata = { ...previous.metadata, resourceVersion: String(Number(previous.metadata.resourceVersion) + 1) };
    this.quota = { ...previous, metadata, status: { ...previous.status, used: { secrets: used } } };
    this.#tell(key, this.quota, previous);
  }

  reconcile(): Promise<Outcome> {
    const { signal } = new AbortController();
    return this.controller.reconcile(key, { logger: silentLogger, signal, nowMs: this.nowMs });
  }

  get lastUsed(): string | undefined {
    return this.written.at(-1)?.status?.used?.['secrets'];
  }
}

describe('ResourceQuotas', () => {
  it('lowers what is used only when nothing was set aside for six seconds', async () => {
    const world = new World('3');
    world.count = 2;
    world.nowMs += 5_000;
    assert.deepEqual(await world.reconcile(), { settled: false, recheckAfterMs: 1_000 });
    world.reserve('4');
    world.nowMs += 5_999;
    assert.deepEqual(await world.reconcile(), { settled: false, recheckAfterMs: 200 });
    assert.deepEqual(world.written, []);
    world.nowMs += 1;
    assert.deepEqual(await world.reconcile(), settled);
    assert.equal(world.lastUsed, '2');
  });

  it('raises what is used at once', async () => {
    const world = new World('3');
    world.count = 4;
    assert.deepEqual(await world.reconcile(), settled);
    assert.equal(world.lastUsed, '4');
  });

  it('writes nothing when the quota says what is', async () => {
    const world = new World('3');
    world.count = 3;
    world.nowMs += 60_000;
    assert.deepEqual(await world.reconcile(), settled);
    assert.deepEqual(world.written, []);
  });

  it('looks again after each reservation, and soon after an object went or changed', () => {
    const world = new World('3');
    assert.deepEqual(world.enqueued.splice(0), [[key, 0]]);
    world.reserve('4');
    assert.deepEqual(world.enqueued.splice(0), [[key, 6_000]]);
    const object = (generation: number, namespace = 'ns'): KubernetesObject => {
      return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace, generation } };
    };
    world.controller.see(undefined, object(1));
    world.controller.see(object(2), object(1));
    assert.deepEqual(world.enqueued.splice(0), [
      [key, 200],
      [key, 200],
    ]);
    world.controller.see(object(1), undefined);
    world.controller.see(object(1), object(1));
    world.controller.see(undefined, object(1, 'other'));
    assert.deepEqual(world.enqueued, []);
  });
});
