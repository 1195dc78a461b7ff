import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { createAuthority, newPrivateKey, signClientCertificate } from '../../apiserver/access/certificates.ts';
import { providerUser } from '../../api/names.ts';
import { formatJoinToken } from '../../api/join-token-format.ts';
import { UserError } from '../../api/errors.ts';
import { agentFolder, makeAgentFolder } from '../../node-agent/identity/agent-folder.ts';
import { writeAgentKubeconfig } from '../../node-agent/identity/agent-kubeconfig.ts';
import type { Enrolment } from '../../node-agent/identity/enrolment.ts';
import { authorityHash } from '../../node-agent/identity/find-authority.ts';
import { chooseWay } from './choose-way.ts';
import { parseLocation, parseOffer } from './parse-offer.ts';
import { readToken } from './read-token.ts';
import { formatUnit } from './systemd-unit.ts';

function complaintOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UserError);
    return error.toString();
  }
  return '';
}

describe('potluck join, what is offered', () => {
  const otherwise = { cpu: '2', memory: '4Gi', disk: '10Gi' };

  it('is what the owner says, and the default for the rest', () => {
    assert.deepEqual(parseOffer(undefined, otherwise), otherwise);
    assert.deepEqual(parseOffer('cpu=500m, disk=1Ti,egress-bandwidth=5M', otherwise), {
      cpu: '500m',
      memory: '4Gi',
      disk: '1Ti',
      'egress-bandwidth': '5M',
    });
  });

  it('is refused in one line that says what is wrong', () => {
    for (const [text, message] of [
      ['cpus=4', /^PLK010 --offer has "cpus", .*Did you mean cpu\?$/],
      ['cpu', /--offer cpu="" is no amount/],
      ['cpu=many', /--offer cpu="many" is no amount/],
      ['cpu=0', /no amount/],
      ['memory=-1Gi', /no amount/],
      ['', /has "", which is nothing to lend/],
    ] as const) {
      assert.match(
        complaintOf(() => parseOffer(text, otherwise)),
        message,
      );
    }
    fc.assert(fc.property(fc.string(), (text) => void complaintOf(() => parseOffer(text, otherwise))));
  });

  it('has a place rounded to 0.1 degree, or none', () => {
    assert.equal(parseLocation({ region: undefined, latitude: undefined, longitude: undefined }), undefined);
    const place = parseLocation({ region: 'eu-west', latitude: '45.1885', longitude: '-0.04' });
    assert.deepEqual(place, { region: 'eu-west', latitude: 45.2, longitude: 0 });
    assert.match(
      complaintOf(() => parseLocation({ region: undefined, latitude: '1', longitude: undefined })),
      /only one/,
    );
    assert.match(
      complaintOf(() => parseLocation({ region: undefined, latitude: '91', longitude: '0' })),
      /--latitude "91"/,
    );
  });
});

describe('potluck join, the token', () => {
  const parts = { id: 'a1b2c3d4', secret: 'abcdefghijklmnopqrstuvwxyz', caHash: 'A'.repeat(43) };
  const text = formatJoinToken(parts);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'join-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is read from the arguments or a file', async () => {
    assert.deepEqual(await readToken({ word: text, file: undefined }), parts);
    await writeFile(join(folder, 'token'), `${text}\n`);
    assert.deepEqual(await readToken({ word: undefined, file: join(folder, 'token') }), parts);
    assert.equal(await readToken({ word: undefined, file: undefined }), undefined);
  });

  it('is never repeated when it is none', async () => {
    await assert.rejects(readToken({ word: text.slice(0, -1), file: undefined }), (error) => {
      assert.ok(error instanceof UserError);
      assert.ok(!error.toString().includes(parts.secret));
      return error.code === 'PLK010';
    });
    await assert.rejects(readToken({ word: text, file: join(folder, 'token') }), /given twice/);
    await assert.rejects(readToken({ word: undefined, file: join(folder, 'none') }), /cannot be read/);
  });

  it('is needed to join, and refused where the pool itself runs', async () => {
    const situation = {
      folder: agentFolder(folder),
      enrolment: undefined,
      invitation: undefined,
      runsPool: false,
      isForgotten: () => Promise.resolve(false),
    };
    await assert.rejects(chooseWay(situation), (error) => (error as UserError).code === 'PLK022');
    await assert.rejects(chooseWay({ ...situation, runsPool: true }), (error) => (error as UserError).code === 'PLK021');
    const invitation = { server: new URL('https://pool:6443'), token: parts };
    assert.deepEqual(await chooseWay({ ...situation, invitation }), { kind: 'join', invitation });
  });

  it('leads a machine that has joined on as who it is, anew where it was forgotten, and to no other pool', async () => {
    const files = agentFolder(folder);
    await makeAgentFolder(files);
    const lifetime = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
    const keyPem = await newPrivateKey();
    const caPem = await createAuthority(keyPem, 'ca', lifetime);
    const own = await signClientCertificate({ keyPem, certPem: caPem }, { commonName: providerUser('u-1'), organizations: [] }, lifetime);
    await writeAgentKubeconfig(files.kubeconfig, { server: 'https://pool:6443', caPem, ...own });
    const enrolment: Enrolment = { providerName: 'desk', providerUid: 'u-1', engine: 'pool', by: 'join' };
    const known = { folder: files, enrolment, invitation: undefined, runsPool: false, isForgotten: () => Promise.resolve(false) };
    const caHash = authorityHash(new X509Certificate(caPem));
    const invitation = { server: new URL('https://pool:6443'), token: { ...parts, caHash } };
    const goOn = { kind: 'go-on', enrolment };
    assert.deepEqual(await chooseWay(known), goOn);
    assert.deepEqual(await chooseWay({ ...known, invitation }), goOn);
    const isForgotten = (): Promise<boolean> => Promise.resolve(true);
    assert.deepEqual(await chooseWay({ ...known, invitation, isForgotten }), { kind: 'join', invitation });
    const other = { ...invitation, token: parts };
    await assert.rejects(chooseWay({ ...known, invitation: other }), /^PLK021 this machine is desk in another pool/);
    const draining = { ...enrolment, leaving: 'draining' as const };
    assert.deepEqual(await chooseWay({ ...known, enrolment: draining }), { kind: 'go-on', enrolment: draining });
    const drained = { ...enrolment, leaving: 'drained' as const };
    await assert.rejects(chooseWay({ ...known, enrolment: drained }), /about to leave/);
    assert.deepEqual(await chooseWay({ ...known, enrolment: drained, invitation }), { kind: 'join', invitation });
  });
});

describe('the unit for systemd', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'unit-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  for (const home of ['/var/lib/potluck', '/srv/a "pool" of 100%/$HOME']) {
    it(`holds for systemd, with ${home}`, async () => {
      const unit = await formatUnit(home);
      assert.doesNotMatch(unit, /@[A-Z]+@/);
      const file = join(folder, 'potluck-agent.service');
      await writeFile(file, unit);
      const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', '--man=no', file]);
      const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('potluck-agent'));
      assert.deepEqual(complaints, []);
    });
  }

  it('leaves containers running when the agent is stopped', async () => {
    assert.match(await formatUnit('/var/lib/potluck'), /^KillMode=process$/m);
  });
});
