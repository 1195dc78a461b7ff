import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Instance } from '../api/generated/instance.ts';
import type { Provider } from '../api/generated/provider.ts';
import type { StreamKind } from '../api/stream-protocol.ts';
import { AdmissionGate } from './admission-gate.ts';
import { identityOf } from './client-identity.ts';
import { findWay } from './find-way.ts';
import { statusOf, TunnelError, tunnelErrorOf } from './tunnel-error.ts';
import type { TunnelReason } from './tunnel-error.ts';

describe('identityOf()', () => {
  const uid = '0b6f1c0e-0000-4000-8000-000000000000';

  it('knows programs and providers by name and group together', () => {
    const of = (CN: string | string[], O: string | string[]): string => identityOf({ CN, O }).kind;
    assert.equal(of('system:potluck-gateway', 'system:potluck-gateways'), 'gateway');
    assert.equal(of('system:potluck-jump-host', ['x', 'system:potluck-jump-hosts']), 'jump-host');
    assert.equal(of('system:potluck-apiserver', 'system:potluck-apiservers'), 'api-server');
    assert.deepEqual(identityOf({ CN: `system:provider:${uid}`, O: 'system:providers' }), { kind: 'provider', uid });
    for (const [name, group] of [
      ['system:potluck-gateway', 'system:potluck-jump-hosts'],
      ['system:potluck-gateway', []],
      [`system:provider:${uid}`, 'system:provider-recovery'],
      ['system:provider:', 'system:providers'],
      [['system:potluck-gateway', 'x'], 'system:potluck-gateways'],
      ['potluck-admin', 'system:masters'],
    ] as const) {
      assert.equal(of(name as string, group as string), 'stranger', `${String(name)} ${String(group)}`);
    }
    assert.equal(identityOf({}).kind, 'stranger');
  });
});

describe('findWay()', () => {
  const ready = {
    type: 'Ready',
    status: 'False' as const,
    reason: 'X',
    message: 'its owner\nstopped it',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const instanceIn = (phase: string, more: object = {}): Instance =>
    ({
      metadata: { name: 'web', namespace: 'toto', uid: 'i' },
      spec: {},
      status: { phase, assignment: { providerName: 'laptop', providerUID: 'p', epoch: 3 }, conditions: [ready], ...more },
    }) as unknown as Instance;
  const providerWith = (tunnel: object | undefined, revoked = false): Provider =>
    ({ metadata: { name: 'laptop', uid: 'p' }, spec: { revoked }, status: { tunnel } }) as unknown as Provider;
  const connected = { gateway: 'one', session: 4, connectedAt: '2026-01-01T00:00:00Z' };
  const why = (instance: Instance | undefined, provider: Provider | undefined, kind: StreamKind = 'ssh'): string => {
    try {
      const { epoch, gateway } = findWay({ name: 'toto/web', instance, provider, kind, isAlive: (name) => name === 'one' });
      return `${epoch} by ${gateway}`;
    } catch (error) {
      assert.ok(error instanceof TunnelError);
      return `${error.reason}: ${error.message}`;
    }
  };

  it('says what, why and since when, in one line', () => {
    const provider = providerWith(connected);
    assert.equal(why(instanceIn('Running'), provider), '3 by one');
    assert.equal(why(instanceIn('Lost'), provider), '3 by one');
    assert.equal(why(undefined, undefined), 'NotFound: there is no instance toto/web');
    const since = ', since 2026-01-01T00:00:00Z: its owner stopped it';
    assert.equal(why(instanceIn('Pending', { assignment: undefined }), undefined), `NotAssigned: toto/web has no place yet${since}`);
    assert.equal(why(instanceIn('Stopped'), provider), `NotRunning: toto/web does not run: it is Stopped${since}`);
    assert.equal(why(instanceIn('Stopped'), provider, 'logs'), '3 by one');
    const unreachable = 'Unreachable: toto/web cannot be reached: its provider laptop ';
    assert.equal(why(instanceIn('Running'), undefined), `${unreachable}is not in the pool any more`);
    assert.equal(why(instanceIn('Running'), providerWith(connected, true)), `${unreachable}is not in the pool any more`);
    assert.equal(why(instanceIn('Running'), providerWith(undefined)), `${unreachable}was never connected`);
    const ended = { gateway: 'one', session: 4, disconnectedAt: '2026-01-02T00:00:00Z' };
    assert.equal(why(instanceIn('Running'), providerWith(ended)), `${unreachable}is not connected since 2026-01-02T00:00:00Z`);
    const elsewhere = { ...connected, gateway: 'dead' };
    assert.equal(why(instanceIn('Running'), providerWith(elsewhere)), `${unreachable}is not connected: its gateway dead is gone`);
  });
});

describe('a TunnelError', () => {
  it('is the same after it went through a Status', () => {
    const reasons: TunnelReason[] = ['NotFound', 'NotAssigned', 'NotRunning', 'Unreachable', 'Refused', 'Busy'];
    for (const reason of reasons) {
      const status = statusOf(new TunnelError(reason, 'because'));
      const read = tunnelErrorOf(status.code ?? 0, JSON.stringify(status));
      assert.deepEqual([read.reason, read.message], [reason, 'because']);
    }
  });

  it('is made of whatever was answered', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999 }), fc.oneof(fc.string(), fc.json()), (code, body) => {
        assert.ok(tunnelErrorOf(code, body) instanceof TunnelError);
      }),
    );
  });
});

describe('AdmissionGate', () => {
  it('lets a provider come six times in a row, then once in two seconds, and 32 at once', () => {
    let nowMs = 0;
    const gate = new AdmissionGate(() => nowMs);
    const come = (uid: string): number => {
      const wait = gate.enter(uid);
      if (wait === undefined) gate.leave();
      return wait?.code ?? 101;
    };
    assert.deepEqual(
      Array.from({ length: 7 }, () => come('a')),
      [101, 101, 101, 101, 101, 101, 429],
    );
    assert.equal(come('b'), 101);
    nowMs += 2_000;
    assert.deepEqual([come('a'), come('a')], [101, 429]);
    nowMs += 60_000;
    assert.deepEqual(
      Array.from({ length: 7 }, () => come('a')),
      [101, 101, 101, 101, 101, 101, 429],
    );
    for (let count = 0; count < 32; count += 1) assert.equal(gate.enter(`p${count}`), undefined);
    assert.deepEqual(gate.enter('late'), { code: 503, retryAfterSeconds: 1 });
  });
});
