/** The audit log of a real API server. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { rawRequest, readCredentials, type Credentials, type RawAnswer, type RawRequest } from '../support/https-request.ts';

const policy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - { level: None, nonResourceURLs: ["/healthz", "/readyz"] }
  - { level: Request, verbs: [patch] }
  - { level: RequestResponse, resources: [{ group: "" }] }
  - { level: Metadata }
`;

interface AuditEvent {
  level: string;
  auditID: string;
  stage: string;
  requestURI: string;
  verb: string;
  user: { username?: string };
  impersonatedUser?: { username: string };
  objectRef?: { resource: string; name?: string };
  responseStatus?: { code: number };
  requestObject?: { data?: unknown };
  responseObject?: { kind: string };
}

describe('the audit log', function () {
  this.timeout(60_000);
  let folder: string;
  let api: TestApiServer;
  let admin: Required<Credentials>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-audit-'));
    const policyFile = join(folder, 'policy.yaml');
    await writeFile(policyFile, policy);
    const audit = { policyFile, logPath: join(folder, 'audit.log'), maxBytes: 64 * 1024 * 1024, maxBackups: 1 };
    api = await startTestApiServer({ audit, installCrds: false });
    admin = await readCredentials(api.kubeconfigPath);
  });
  after(async () => {
    await api.stop();
    await rm(folder, { recursive: true });
  });

  const send = (path: string, raw: RawRequest = {}, credentials: Credentials = admin): Promise<RawAnswer> =>
    rawRequest(`${api.url}${path}`, credentials, raw);
  const json = (method: string, body: unknown, headers: Record<string, string> = {}): RawRequest => ({
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = (): Promise<string> => readFile(join(folder, 'audit.log'), 'utf8');
  /** An event is written just after its answer. */
  const eventOf = async (answer: RawAnswer): Promise<AuditEvent> => {
    const found = async (): Promise<AuditEvent> => {
      const events = (await text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as AuditEvent);
      const event = events.find(({ auditID }) => auditID === answer.headers['audit-id']);
      assert.ok(event);
      return event;
    };
    return eventually(found, { timeoutMs: 2_000, intervalMs: 5, what: 'the event' });
  };
  const configMaps = '/api/v1/namespaces/default/configmaps';

  it('has who did what to which object, and what came of it, at the level that the policy says', async () => {
    const created = await eventOf(await send(configMaps, json('POST', { metadata: { name: 'a' }, data: { key: 'kept' } })));
    const { user, verb, objectRef, responseStatus, level, stage } = created;
    assert.deepEqual(
      [level, stage, verb, user.username, responseStatus?.code],
      ['RequestResponse', 'ResponseComplete', 'create', 'potluck-admin', 201],
    );
    assert.deepEqual(
      [objectRef?.resource, created.requestObject?.data, created.responseObject?.kind],
      ['configmaps', { key: 'kept' }, 'ConfigMap'],
    );
    const patch = json('PATCH', { data: { key: 'new' } }, { 'content-type': 'application/merge-patch+json' });
    const patched = await eventOf(await send(`${configMaps}/a`, patch));
    assert.deepEqual([patched.level, patched.requestObject, patched.responseObject], ['Request', { data: { key: 'new' } }, undefined]);
    const listed = await eventOf(await send('/apis/coordination.k8s.io/v1/leases'));
    assert.deepEqual([listed.level, listed.responseObject], ['Metadata', undefined]);
    assert.equal((await send('/readyz')).headers['audit-id'], undefined);
  });

  it('has what was refused, and in whose name', async () => {
    const refused = await eventOf(await send(configMaps, { headers: { 'impersonate-user': 'zoe' } }));
    assert.deepEqual(
      [refused.responseStatus?.code, refused.user.username, refused.impersonatedUser?.username],
      [403, 'potluck-admin', 'zoe'],
    );
    const unknown = await eventOf(await send('/api/v1/namespaces', { headers: { authorization: 'Bearer guessed' } }, { ca: admin.ca }));
    assert.deepEqual([unknown.responseStatus?.code, unknown.user], [401, {}]);
  });

  it('has the beginning of a watch and its end', async () => {
    const answer = await send(`${configMaps}?watch=1&timeoutSeconds=1`);
    const check = async (): Promise<void> => {
      const lines = (await text()).split('\n').filter((line) => line.includes(String(answer.headers['audit-id'])));
      assert.deepEqual(
        lines.map((line) => (JSON.parse(line) as AuditEvent).stage),
        ['ResponseStarted', 'ResponseComplete'],
      );
    };
    await eventually(check, { timeoutMs: 2_000, intervalMs: 5, what: 'both stages' });
  });

  it('never has a secret’s value or a token', async () => {
    const secret = await send(
      '/api/v1/namespaces/default/secrets',
      json('POST', { metadata: { name: 's' }, stringData: { p: 'hunter2' } }),
    );
    await send('/api/v1/namespaces/default/secrets');
    await send('/api/v1/namespaces/default/serviceaccounts', json('POST', { metadata: { name: 'bot' } }));
    const issued = await send('/api/v1/namespaces/default/serviceaccounts/bot/token', json('POST', {}));
    const { token } = issued.json?.['status'] as { token: string };
    await send('/apis/authentication.k8s.io/v1/tokenreviews', json('POST', { spec: { token } }));
    const used = await send('/api', { headers: { authorization: `Bearer ${token}` } }, { ca: admin.ca });
    assert.equal((await eventOf(used)).user.username, 'system:serviceaccount:default:bot');
    assert.equal((await eventOf(secret)).level, 'Metadata');
    const written = await text();
    for (const hidden of ['hunter2', Buffer.from('hunter2').toString('base64'), token]) assert.ok(!written.includes(hidden), hidden);
  });
});
