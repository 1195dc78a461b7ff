/** Images from real registries to real engines, on two providers. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import Docker from 'dockerode';
import { instances, providers, secrets } from '../../api/resource-type.ts';
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { ImageCollector } from '../../node-agent/images/image-collector.ts';
import { containerName } from '../../node-agent/plan/converge.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { updateObject } from '../../runtime/status-writer.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { BoundAgent } from '../support/bound-agent.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, otherTestImage, testImage } from '../support/image.ts';
import { startImageRegistry } from '../support/image-registry.ts';
import type { TestRegistry } from '../support/image-registry.ts';

const namespace = 'default';
const user = { username: 'ann', password: 'correct horse battery' };

describe('images', function () {
  this.timeout(120_000);
  let api: TestApiServer;
  let engines: [TestDockerd, TestDockerd];
  let open: TestRegistry;
  let guarded: TestRegistry;
  let first: BoundAgent;
  let second: BoundAgent;
  let docker: Docker;

  before(async () => {
    // A third engine from which images are pushed: the providers' own begin without.
    let source: TestDockerd;
    [api, source, ...engines] = await Promise.all([startTestApiServer(), startTestDockerd(), startTestDockerd(), startTestDockerd()]);
    const namespaces = [source, ...engines].map((engine) => engine.namespace);
    open = await startImageRegistry({ namespaces, port: 5000 });
    guarded = await startImageRegistry({ namespaces, port: 5001, user });
    pusher = source;
    await importTestImage(source.socketPath);
    await importTestImage(source.socketPath, otherTestImage);
    await push(guarded, testImage, 'team/app:1');
    docker = new Docker({ socketPath: engines[0].socketPath });
    [first, second] = (await Promise.all(
      engines.map(({ socketPath, namespace: network }, index) =>
        BoundAgent.start(api, `provider-${index}`, { engine: { kind: 'socket', socketPath, namespace: network } }),
      ),
    )) as [BoundAgent, BoundAgent];
    await makeSecret('opens', user.password);
    await makeSecret('wrong', 'hunter2');
  });

  after(async () => {
    await Promise.all([first.stop(), second.stop()]);
    await Promise.all([open.stop(), guarded.stop()]);
    await Promise.all([pusher, ...engines].map((engine) => engine.stop()));
    await api.stop();
  });

  let pusher: TestDockerd;
  const push = (registry: TestRegistry, image: string, name: string): Promise<string> => registry.push(pusher.socketPath, image, name);

  async function makeSecret(name: string, password: string): Promise<void> {
    const config = { auths: { [guarded.host]: { username: user.username, password } } };
    await first.admin.create(secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(JSON.stringify(config)).toString('base64') },
    });
  }

  const imageReady = (status: { conditions?: { type: string; message: string; status: string }[] }): string =>
    status.conditions?.find(({ type }) => type === 'ImageReady')?.message ?? '';

  async function run(agent: BoundAgent, name: string, image: string, pullSecrets: string[] = []): Promise<void> {
    await agent.create(name, { image, imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) });
    await agent.bind(name, 1);
  }

  it('mean on every provider what their tag meant on the first, until the spec names another', async () => {
    const image = `${open.host}/app:1`;
    const digest = await push(open, testImage, 'app:1');
    await run(first, 'pinned', image);
    const before = await first.until('pinned', ({ phase }) => assert.equal(phase, 'Running'));
    assert.deepEqual(before.status?.resolvedImage, { image, digest });
    assert.equal(before.status.imageID, `${open.host}/app@${digest}`);

    const moved = await push(open, otherTestImage, 'app:1');
    assert.notEqual(moved, digest);
    await second.bind('pinned', 2);
    const after = await second.until('pinned', ({ phase }) => assert.equal(phase, 'Running'));
    assert.deepEqual([after.status?.resolvedImage, after.status?.imageID], [before.status.resolvedImage, before.status.imageID]);

    await run(first, 'newer', image);
    const newer = await first.until('newer', ({ phase }) => assert.equal(phase, 'Running'));
    // The first provider has the image under this tag already, and asks for no newer one, as a kubelet with IfNotPresent.
    assert.equal(newer.status?.resolvedImage?.digest, digest);
    const other = await push(open, otherTestImage, 'app:2');
    await updateObject(second.admin, instances, { namespace, name: 'pinned' }, (draft) => {
      draft.spec.image = `${open.host}/app:2`;
    });
    await second.until('pinned', ({ phase, resolvedImage }) => {
      assert.equal(phase, 'Running');
      assert.deepEqual(resolvedImage, { image: `${open.host}/app:2`, digest: other });
    });
  });

  it('that were resolved are not resolved otherwise by a provider', async () => {
    const name = 'pinned';
    const { stderr } = await api.kubectl([
      ...[
        'patch',
        'instance',
        name,
        '--subresource=status',
        '--type=merge',
        `--as=system:provider:${second.uid}`,
        '--as-group=system:providers',
      ],
      ...['-p', JSON.stringify({ status: { resolvedImage: { digest: `sha256:${'0'.repeat(64)}` } } })],
    ]);
    assert.match(stderr, /the image is resolved already/);
  });

  it('that came from no registry are left as they are, and that is said', async () => {
    await importTestImage(engines[0].socketPath);
    await run(first, 'imported', testImage);
    const { status } = await first.until('imported', ({ phase }) => assert.equal(phase, 'Running'));
    assert.equal(status?.resolvedImage, undefined);
    assert.match(status?.imageID ?? '', /^sha256:/);
    assert.match(imageReady(status ?? {}), /was there already; no registry has it, so another provider may have another/);
  });

  describe('that a registry guards', () => {
    const image = (): string => `${guarded.host}/team/app:1`;

    it('are pulled by the secrets that the instance names, and by no other', async () => {
      await run(first, 'wrong', image(), ['wrong']);
      await first.until('wrong', (status) => assert.match(imageReady(status), /cannot be pulled: .*(unauthorized|no basic auth)/));
      await run(first, 'nobody', image());
      await first.until('nobody', (status) => assert.match(imageReady(status), /cannot be pulled: .*(unauthorized|no basic auth)/));
      await run(first, 'ann', image(), ['missing', 'opens']);
      await first.until('ann', ({ phase }) => assert.equal(phase, 'Running'));
    });

    it('are not given to others because they are there', async () => {
      await run(first, 'late', image());
      await first.until('late', (status) => assert.match(imageReady(status), /cannot be pulled/));
      const { Id: id } = await docker.getImage(image()).inspect();
      await run(first, 'by-id', id);
      await first.until('by-id', (status) => assert.match(imageReady(status), /cannot be pulled/));
    });

    it('are still not after the agent was started anew, and still are for who may have them', async () => {
      await first.stopAgent();
      await first.startAgent();
      await run(first, 'later', image());
      await first.until('later', (status) => assert.match(imageReady(status), /cannot be pulled/));
      await run(first, 'ann-again', image(), ['opens']);
      await first.until('ann-again', ({ phase }) => assert.equal(phase, 'Running'));
    });

    it('leave no credentials in logs, statuses, events and files', async () => {
      const listed = await first.admin.list(instances, { namespace });
      const events = await api.kubectl(['get', 'events', '-A', '-o', 'json']);
      const files = [first.logFile, `${first.home}/agent/guarded-images.json`, `${first.home}/agent/journal.json`];
      const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      const encoded = Buffer.from(`${user.username}:${user.password}`).toString('base64');
      for (const text of [...texts, events.stdout, JSON.stringify(listed)]) {
        for (const secret of [user.password, 'hunter2', encoded]) assert.equal(text.includes(secret), false);
      }
      assert.match(texts[0] ?? '', /pulling an image/);
    });
  });

  it('are no larger than the provider takes: asked of the registry before, and looked at after', async () => {
    await push(open, testImage, 'large:1');
    const limit = async (maxImageSize: string): Promise<void> => {
      await updateObject(second.admin, providers, { name: second.name }, (draft) => {
        draft.spec.maxImageSize = maxImageSize;
      });
      await eventually(
        async () => {
          const { metadata, status } = await second.admin.get(providers, { name: second.name });
          assert.equal(status?.observedGeneration, metadata.generation);
        },
        { timeoutMs: 10_000, what: 'the agent to have seen it' },
      );
    };
    await limit('100k');
    await run(second, 'large', `${open.host}/large:1`);
    await second.until('large', (status) =>
      assert.match(imageReady(status), /it is \d\.\d MB large, and the provider takes no image of more than 0\.1 MB/),
    );
    // It unpacks to more than what is transferred.
    const { Size: unpacked } = await docker.getImage(testImage).inspect();
    await limit(String(unpacked - 1));
    await run(second, 'larger', `${open.host}/large:1`, ['missing']);
    await second.until('larger', (status) => assert.match(imageReady(status), /large, and the provider takes no image/));
    const other = new Docker({ socketPath: engines[1].socketPath });
    assert.equal((await other.listImages()).flatMap(({ RepoTags = [] }) => RepoTags).includes(`${open.host}/large:1`), false);
    await limit('1Gi');
    await run(second, 'fits', `${open.host}/large:1`, ['also-missing']);
    await second.until('fits', ({ phase }) => assert.equal(phase, 'Running'));
  });

  it('that nothing uses are removed when the disk fills, the longest unused first, and no others', async () => {
    const engine = createDockerEngine(engines[0].socketPath);
    const names = ['old:1', 'older:1', 'new:1'];
    const started = Date.now();
    // Different ids: layers are shared, and the disk's word is what counts, so it is the test's here.
    for (const name of names) await push(open, await variant(name), name);
    for (const name of names)
      await engine.pullImage(`${open.host}/${name}`, { onProgress: () => undefined, signal: AbortSignal.timeout(30_000) });
    const idOf = async (name: string): Promise<string | undefined> => (await engine.inspectImage(`${open.host}/${name}`))?.id;
    const [old, older, fresh] = await Promise.all(names.map(idOf));
    const present = async (): Promise<(string | undefined)[]> => (await engine.listImages()).map(({ id }) => id);
    let nowMs = started;
    let used: (string | undefined)[] = [old, fresh];
    const total = (await engine.listImages()).length;
    let pressure = false;
    let rounds = 0;
    const nextRounds = async (): Promise<void> => {
      const enough = rounds + 2;
      const reached = (): Promise<void> => (rounds >= enough ? Promise.resolve() : Promise.reject(new Error(`${rounds} rounds`)));
      await eventually(reached, { timeoutMs: 5_000, what: 'two rounds' });
    };
    const collector = new ImageCollector({
      engine,
      // Each image that goes frees 30 of 1000; it begins at 860 used.
      disk: async () => {
        rounds += 1;
        return { sizeBytes: 1000, freeBytes: pressure ? 140 + 30 * (total - (await present()).length) : 900 };
      },
      usedIds: () => used.filter((id) => id !== undefined),
      pulling: () => [],
      onRemoved: () => Promise.resolve(),
      logger: silentLogger,
      intervalMs: 50,
      nowMs: () => nowMs,
    });
    try {
      // One is seen in use for longer than the other.
      await nextRounds();
      nowMs += 200_000;
      await nextRounds();
      used = [fresh];
      nowMs += 200_000;
      pressure = true;
      await eventually(
        async () => {
          const left = await present();
          assert.deepEqual([left.includes(older), left.includes(old), left.includes(fresh)], [false, false, true]);
        },
        { timeoutMs: 20_000, what: 'two images to be removed' },
      );
      assert.ok((await engine.inspectImage(testImage)) !== undefined, 'the imported image stays');
      assert.ok(
        await docker.getContainer(containerName((await first.get('imported')).metadata.uid ?? '')).inspect(),
        'containers keep theirs',
      );
    } finally {
      await collector.stop();
    }
  });

  async function variant(name: string): Promise<string> {
    const reference = `potluck-test/${name}`;
    await importTestImage(pusher.socketPath, reference);
    return reference;
  }
});
