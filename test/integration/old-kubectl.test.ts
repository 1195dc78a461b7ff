/** Debian's own kubectl, which knows neither OpenAPI v3 nor aggregated discovery, against our API server. */
import assert from 'node:assert/strict';
import type { TestApiServer } from '../support/api-server.ts';
import { startTestApiServer } from '../support/api-server.ts';
import { findOldKubectl } from '../support/old-kubectl.ts';

function manifest(image: string): string {
  const resources = { requests: { cpu: '1', memory: '1Gi', disk: '1Gi' } };
  const metadata = { name: 'old', namespace: 'default' };
  return JSON.stringify({ apiVersion: 'potluck.dev/v1alpha1', kind: 'Instance', metadata, spec: { image, resources } });
}

describe('the kubectl of Debian', function () {
  this.timeout(180_000);
  let api: TestApiServer;

  before(async () => {
    api = await startTestApiServer({ kubectl: await findOldKubectl() });
  });
  after(() => api.stop());

  async function kubectl(args: string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await api.kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }

  it('is a version that reads OpenAPI v2 only, as protobuf', async () => {
    assert.match(await kubectl(['version', '--client', '--short']), /v1\.(1\d|2[0-6])\./u);
  });

  it('applies, compares, describes, labels and deletes an instance', async () => {
    const apply = ['apply', '-f', '-'];
    assert.equal(
      await kubectl([...apply, '--dry-run=server'], manifest('debian:12')),
      'instance.potluck.dev/old created (server dry run)\n',
    );
    assert.equal(await kubectl(apply, manifest('debian:12')), 'instance.potluck.dev/old created\n');
    assert.equal(await kubectl(apply, manifest('debian:12')), 'instance.potluck.dev/old unchanged\n');
    const diff = await api.kubectl(['diff', '-f', '-'], manifest('debian:13'));
    assert.equal(diff.code, 1, diff.stderr);
    assert.match(diff.stdout, /-\s+image: debian:12\n\+\s+image: debian:13/u);
    assert.equal(await kubectl(apply, manifest('debian:13')), 'instance.potluck.dev/old configured\n');
    assert.match(await kubectl(['get', 'inst', '-o', 'wide']), /^NAME +PHASE .*HOSTNAME +IMAGE[^]*\nold .*debian:13/u);
    assert.match(await kubectl(['describe', 'instance', 'old']), /Image: +debian:13/u);
    await kubectl(['label', 'instance', 'old', 'team=blue']);
    assert.equal(await kubectl(['get', 'instances', '-l', 'team=blue', '-o', 'name']), 'instance.potluck.dev/old\n');
    assert.equal(await kubectl(['delete', 'instance', 'old']), 'instance.potluck.dev "old" deleted\n');
  });

  it('checks a manifest by what the server publishes, and explains it', async () => {
    const { code, stderr } = await api.kubectl(['apply', '-f', '-'], manifest('debian:12').replace('"image"', '"imagee"'));
    assert.equal(code, 1);
    assert.match(stderr, /unknown field "imagee"/u);
    assert.match(await kubectl(['explain', 'instance.spec.image']), /FIELD: +image <string>[^]*Any OCI image reference/u);
    assert.match(await kubectl(['explain', 'configmap.data']), /KIND: +ConfigMap[^]*the configuration data/u);
  });

  it('makes and patches built-in objects', async () => {
    assert.equal(await kubectl(['create', 'namespace', 'blue']), 'namespace/blue created\n');
    assert.equal(await kubectl(['create', 'configmap', 'c', '-n', 'blue', '--from-literal=a=1']), 'configmap/c created\n');
    assert.equal(await kubectl(['patch', 'configmap', 'c', '-n', 'blue', '-p', '{"data":{"b":"2"}}']), 'configmap/c patched\n');
    assert.equal(await kubectl(['get', 'configmap', 'c', '-n', 'blue', '-o', 'jsonpath={.data.a}{.data.b}']), '12');
    assert.match(await kubectl(['get', 'configmaps', '-n', 'blue']), /^NAME +DATA +AGE\nc +2 +\d+s\n$/u);
    assert.equal(await kubectl(['delete', 'configmap', 'c', '-n', 'blue']), 'configmap "c" deleted\n');
  });
});
