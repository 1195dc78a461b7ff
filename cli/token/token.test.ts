import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { NetworkInterfaceInfo } from 'node:os';
import { formatJoinToken, parseJoinToken } from '../../api/join-token-format.ts';
import { UserError } from '../../api/errors.ts';
import { parseDuration } from '../command-line/parse-duration.ts';
import { formatTokens } from './list.ts';
import { newToken } from './new-token.ts';
import { parseServerUrl, reachableServer } from './pool-address.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');

describe('a new join token', () => {
  const wish = { owner: 'alan', ttlMs: 900_000, uses: 1, approval: 'Automatic' } as const;

  it('has a secret that only its hash is sent of', () => {
    const { object, id, secret } = newToken(wish, nowMs);
    const caHash = 'A'.repeat(43);
    assert.deepEqual(parseJoinToken(formatJoinToken({ id, secret, caHash })), { id, secret, caHash });
    assert.equal(object.metadata.name, id);
    assert.ok(!JSON.stringify(object).includes(secret));
    assert.deepEqual(object.spec, {
      owner: 'alan',
      secretHash: createHash('sha256').update(secret).digest('hex'),
      expirationTimestamp: '2026-01-01T00:15:00Z',
      uses: 1,
      approval: 'Automatic',
    });
    assert.equal(newToken({ ...wish, providerName: 'desk' }, nowMs).object.spec.providerName, 'desk');
  });

  it('is another one each time, of all characters', () => {
    const secrets = Array.from({ length: 200 }, () => newToken(wish, nowMs).secret);
    assert.equal(new Set(secrets).size, 200);
    assert.equal(new Set(secrets.join('')).size, 32);
  });
});

describe('parseDuration()', () => {
  it('reads parts, and keeps to its bounds', () => {
    const day = 86_400_000;
    assert.deepEqual(
      ['90s', '15m', '1h30m', '1d', '24h'].map((text) => parseDuration('ttl', text, day)),
      [90_000, 900_000, 5_400_000, day, day],
    );
    for (const text of ['', '0s', '15', '25h', '-1m', '1.5h', '99999999999d', '1w']) {
      assert.throws(() => parseDuration('ttl', text, day), UserError, text);
    }
    assert.equal(parseDuration('ttl', '10m', day, 600_000), 600_000);
    assert.throws(() => parseDuration('ttl', '599s', day, 600_000), /--ttl "599s" is no duration between 600s and 24h\./);
  });
});

describe('the address of the pool', () => {
  const of = (address: string, internal = false): NetworkInterfaceInfo =>
    ({ address, internal, family: address.includes(':') ? 'IPv6' : 'IPv4' }) as NetworkInterfaceInfo;
  const interfaces = {
    lo: [of('127.0.0.1', true), of('::1', true)],
    docker0: [of('172.17.0.1')],
    'plk-1234abcd': [of('10.213.0.1')],
    'br-12': [of('172.18.0.1')],
    wlan0: [of('fe80::1'), of('2001:db8::5'), of('192.168.1.20')],
  };

  it("is the kubeconfig's, or this machine's own where that is a loopback", () => {
    assert.equal(reachableServer('https://pool.example.org:6443', interfaces), 'https://pool.example.org:6443');
    for (const local of ['https://127.0.0.1:6443', 'https://localhost:6443', 'https://[::1]:6443', 'https://127.9.9.9:6443']) {
      assert.equal(reachableServer(local, interfaces), 'https://192.168.1.20:6443');
    }
    assert.equal(reachableServer('https://127.0.0.1:7443', { wlan0: [of('2001:db8::5')] }), 'https://[2001:db8::5]:7443');
    assert.throws(() => reachableServer('https://127.0.0.1:6443', { lo: interfaces.lo, docker0: interfaces.docker0 }), /no address/);
  });

  it('is https, with nothing behind the port', () => {
    assert.equal(parseServerUrl('--server', 'https://pool:6443/').origin, 'https://pool:6443');
    for (const text of ['pool:6443', 'http://pool:6443', 'https://a:b@pool', 'https://pool/x', 'https://pool?x', 'plk1.x']) {
      assert.throws(() => parseServerUrl('--server', text), UserError, text);
    }
  });
});

describe('the table of join tokens', () => {
  it('shows who joined, and how long it is good', () => {
    const { object } = newToken({ owner: 'alan', ttlMs: 900_000, uses: 2, approval: 'Manual' }, nowMs);
    const claim = { request: 'join-x', requestUID: 'u', claimedAt: '2026-01-01T00:00:00Z', providerName: 'desk' };
    const used = { ...object, metadata: { name: 'a1b2c3d4' }, status: { claims: [claim] } };
    const over = {
      ...object,
      metadata: { name: 'e5f6g7h8' },
      spec: { ...object.spec, providerName: 'lap', expirationTimestamp: '2025-12-31T00:00:00Z' },
    };
    assert.equal(
      formatTokens([used, over], nowMs),
      [
        'ID         OWNER   PROVIDER   USES   JOINED   EXPIRES IN',
        'a1b2c3d4   alan    <any>      1/2    desk     15m',
        'e5f6g7h8   alan    lap        0/2    <none>   over',
      ].join('\n'),
    );
  });
});
