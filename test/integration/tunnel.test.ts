/** Instances reached through gateways: a real API server, real gateways, an agent with a real dockerd, and ports of real containers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { providers } from '../../api/resource-type.ts';
import { TunnelError } from '../../gateway/hub.ts';
import type { Hub } from '../../gateway/hub.ts';
import { startTestApiServer } from '../support/api-server.ts';
import type { TestApiServer } from '../support/api-server.ts';
import { BoundAgent } from '../support/bound-agent.ts';
import { startTestDockerd } from '../support/dockerd.ts';
import type { TestDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { importTestImage, testImage } from '../support/image.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { TestGateway } from '../support/test-gateway.ts';

/** Echoes on 7, swallows on 9 and then says so, pours without end on 19, says hello first on 25. */
const ports = ['7 -e cat', '9 -e sh -c "cat > /dev/null; echo done"', '19 -e cat /dev/zero', '25 -e echo hello'];
const serve = ['sh', '-c', `${ports.map((port) => `nc -ll -p ${port} & `).join('')} wait`];

describe('the tunnel', function () {
  this.timeout(90_000);
  let api: TestApiServer;
  let dockerd: TestDockerd;
  let agent: BoundAgent;
  const gateways: TestGateway[] = [];
  const [first, second] = [(): TestGateway => gateways[0]!, (): TestGateway => gateways[1]!];

  before(async () => {
    [api, dockerd] = await Promise.all([startTestApiServer(), startTestDockerd()]);
    await importTestImage(dockerd.socketPath);
    gateways.push(await startTestGateway(api, 'one'), await startTestGateway(api, 'two'));
    agent = await BoundAgent.start(api, 'desktop', { engine: { kind: 'socket', socketPath: dockerd.socketPath } });
    await agent.create('web', { image: testImage, command: serve });
    await agent.bind('web', 1);
    await agent.until('web', ({ phase }) => assert.equal(phase, 'Running'));
    await connected();
  });

  after(async () => {
    await agent.stop();
    for (const gateway of gateways) await gateway.stop();
    await dockerd.stop();
    await api.stop();
  });

  async function connected(): Promise<{ gateway: string; session: number }> {
    return eventually(
      async () => {
        const { status } = await agent.admin.get(providers, { name: 'desktop' });
        assert.ok(status?.tunnel?.connectedAt !== undefined, JSON.stringify(status?.tunnel));
        return status.tunnel;
      },
      { timeoutMs: 15_000, what: 'the provider to be connected' },
    );
  }

  function open(hub: Hub, port: number, name = 'web'): Promise<Duplex> {
    const sessionId = randomBytes(16).toString('hex');
    return hub.open({ instance: { namespace: 'default', name }, kind: 'port', parameters: { port }, user: 'toto', sessionId });
  }

  async function read(stream: Duplex): Promise<string> {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text;
  }

  it('leads to a port of the instance, whichever gateway is asked, and ends each way by itself', async () => {
    for (const { hub } of [first(), second()]) {
      const echo = await open(hub, 7);
      echo.write('hello ');
      echo.end('there');
      assert.equal(await read(echo), 'hello there');
      const greeting = await open(hub, 25);
      assert.equal(await read(greeting), 'hello\n');
      const sink = await open(hub, 9);
      sink.end(Buffer.alloc(3_000_000));
      assert.equal(await read(sink), 'done\n');
    }
  });

  it('refuses what is not there, in words', async () => {
    await assert.rejects(open(first().hub, 81), (error) => {
      assert.ok(error instanceof TunnelError);
      assert.deepEqual([error.reason, error.message], ['Refused', 'nothing listens on port 81 of web']);
      return true;
    });
    await assert.rejects(open(first().hub, 7, 'nothing'), { reason: 'NotFound', message: 'there is no instance default/nothing' });
  });
});
