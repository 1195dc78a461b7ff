import assert from 'node:assert/strict';
import { namespaces } from '../api/resource-type.ts';
import { ApiError } from './client.ts';
import { createClient } from './kube-client.ts';
import { sendJson, sendStatus, startScriptedServer } from './scripted-server.ts';
import type { ScriptedServer } from './scripted-server.ts';

describe('the client, challenged', () => {
  let server: ScriptedServer;
  beforeEach(async () => {
    server = await startScriptedServer((_request, response) => sendStatus(response, 401, 'Unauthorized', 'no'));
    for (const user of server.kubeconfig.users) Object.assign(user, { token: undefined });
  });
  afterEach(() => server.close());

  it('answers a challenge once, for the very request', async () => {
    const seen: string[] = [];
    server.answer = (request, response) => {
      seen.push(request.headers.authorization ?? '');
      if (seen.length === 1) {
        response.setHeader('www-authenticate', 'Test challenge="c1"');
        sendStatus(response, 401, 'Unauthorized', 'prove it');
      } else sendJson(response, 200, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
    };
    let challenge = '';
    const client = createClient({
      kubeconfig: server.kubeconfig,
      userAgent: 'test',
      authorization: {
        header: (method, path) => `Test ${challenge} ${method} ${path}`,
        challenged: (header) => {
          challenge = header;
          return true;
        },
      },
    });
    await client.list(namespaces, { labelSelector: 'a=b' });
    const path = '/api/v1/namespaces?labelSelector=a%3Db&limit=500';
    assert.deepEqual(seen, [`Test  GET ${path}`, `Test Test challenge="c1" GET ${path}`]);
    client.close();
  });

  it('gives up when it is refused again, and tells whoever wants to know', async () => {
    let told = 0;
    server.answer = (_request, response) => {
      response.setHeader('www-authenticate', 'Test challenge="c"');
      sendStatus(response, 401, 'Unauthorized', 'no');
    };
    const authorization = { header: () => 'Test', challenged: () => true };
    const client = createClient({ kubeconfig: server.kubeconfig, userAgent: 'test', authorization, onUnauthorized: () => (told += 1) });
    await assert.rejects(client.get(namespaces, { name: 'a' }), (error) => error instanceof ApiError && error.code === 401);
    assert.deepEqual([server.requests.length, told], [2, 1]);
    client.close();
  });
});
