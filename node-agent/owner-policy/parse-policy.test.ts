import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePolicy } from './parse-policy.ts';

const head = 'apiVersion: potluck.dev/v1alpha1\nkind: OwnerPolicy\n';

function problemsOf(text: string): string[] {
  const parsed = parsePolicy(text);
  assert.ok('problems' in parsed, text);
  return parsed.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`);
}

describe('parsePolicy()', () => {
  it('reads everything that a policy can say', () => {
    const parsed = parsePolicy(`${head}
stopNow: true
hours:
  - { days: [Mon, Sun], from: "18:00", to: "08:00" }
  - { days: [Sat], from: "00:00", to: "24:00" }
total: { cpu: 4, memory: 8Gi, ingress-bandwidth: 50M }
perInstance: { cpu: 500m, pids: 256 }
images: { allow: ["debian:*"], deny: ["debian:10"] }
members: { deny: [mallory] }
runtimes: [runsc]
freeDisk: 10%
`);
    assert.deepEqual(parsed, {
      policy: {
        stopNow: true,
        hours: [
          { fromMinute: 1080, toMinute: 1920 },
          { fromMinute: 6 * 1440 + 1080, toMinute: 480 },
          { fromMinute: 5 * 1440, toMinute: 6 * 1440 },
        ],
        total: { cpu: '4', memory: '8Gi', 'ingress-bandwidth': '50M' },
        perInstance: { cpu: '500m', pids: '256' },
        images: { allow: ['debian:*'], deny: ['debian:10'] },
        members: { deny: ['mallory'] },
        runtimes: ['runsc'],
        freeDisk: { share: 0.1 },
      },
    });
    assert.deepEqual(parsePolicy(head), { policy: { stopNow: false, total: {}, perInstance: {} } });
    assert.deepEqual(parsePolicy(`${head}freeDisk: 1Gi\n`), {
      policy: { stopNow: false, total: {}, perInstance: {}, freeDisk: { bytes: 1024 ** 3 } },
    });
  });

  it('reads the example that owners copy', () => {
    const example = readFileSync(join(import.meta.dirname, '../../manifests/owner-policy.yaml'), 'utf8');
    assert.ok('policy' in parsePolicy(example));
  });

  const wrong: [string, string, string][] = [
    ['a field that there is not', `${head}total:\n  cpus: 4\n`, '4 total.cpus: cpus is not a field of total'],
    ['a misspelt field of the whole', `${head}\nstopnow: true\n`, '4 stopnow: stopnow is not a field of an OwnerPolicy'],
    ['another kind', 'apiVersion: potluck.dev/v1alpha1\nkind: Policy\n', '2 kind: must be OwnerPolicy'],
    [
      'what is no quantity',
      `${head}perInstance:\n  cpu: 1\n  memory: 4 gigs\n`,
      '5 perInstance.memory: "4 gigs" is no quantity, as 500m, 2 or 4Gi are',
    ],
    ['less than nothing', `${head}total: { cpu: -1 }\n`, '3 total.cpu: -1 is no quantity, as 500m, 2 or 4Gi are'],
    ['a word for a switch', `${head}stopNow: "yes"\n`, '3 stopNow: must be boolean'],
    [
      'a day that there is not',
      `${head}hours:\n  - days: [Monday]\n    from: "01:00"\n    to: "02:00"\n`,
      '4 hours.0.days.0: must be one of Mon, Tue, Wed, Thu, Fri, Sat, Sun',
    ],
    [
      'an empty window',
      `${head}hours:\n  - { days: [Mon], from: "08:00", to: "08:00" }\n`,
      '4 hours.0: from and to are the same; for a whole day say 00:00 and 24:00',
    ],
    ['another runtime', `${head}runtimes: [kata]\n`, '3 runtimes.0: must be one of runc, runsc'],
    ['a floor over the disk', `${head}freeDisk: 95%\n`, '3 freeDisk: must be a quantity of bytes, as 20Gi is, or a share from 0% to 90%'],
    ['a key twice', `${head}stopNow: true\nstopNow: false\n`, '4 : Map keys must be unique'],
  ];
  for (const [what, text, problem] of wrong) it(`refuses ${what}, and says where`, () => assert.deepEqual(problemsOf(text), [problem]));

  it('refuses what is no YAML, no object, or empty', () => {
    assert.match(problemsOf(`${head}total: {cpu: 1\nx`)[0] ?? '', /^\d /);
    assert.match(problemsOf('')[0] ?? '', /^1 : must be object/);
    assert.match(problemsOf('- a')[0] ?? '', /^1 : must be object/);
    assert.match(problemsOf(`${head}total: &a { cpu: 1 }\nperInstance: *a\n`)[0] ?? '', /lias/);
  });

  it('says everything that is wrong at once', () => {
    assert.equal(problemsOf(`${head}stopNow: 1\nx: 2\n`).length, 2);
  });
});
