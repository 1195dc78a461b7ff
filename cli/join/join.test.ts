import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { formatJoinToken } from '../../api/join-token-format.ts';
import { UserError } from '../../api/errors.ts';
import { agentFolder } from '../../node-agent/identity/agent-folder.ts';
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
    const situation = { folder: agentFolder(folder), enrolment: undefined, invitation: undefined, runsPool: false };
    await assert.rejects(chooseWay(situation), (error) => (error as UserError).code === 'PLK022');
    await assert.rejects(chooseWay({ ...situation, runsPool: true }), (error) => (error as UserError).code === 'PLK021');
    const invitation = { server: new URL('https://pool:6443'), token: parts };
    assert.deepEqual(await chooseWay({ ...situation, invitation }), { kind: 'join', invitation });
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
