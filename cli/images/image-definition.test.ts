import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../api/errors.ts';
import { parseImageReference } from '../../api/image-reference.ts';
import { buildCommand, importLines, packCommand } from './build-commands.ts';
import { parseImageDefinition } from './image-definition.ts';
import type { ImageDefinition } from './image-definition.ts';

const directory = join(import.meta.dirname, '../../images');

async function all(): Promise<Map<string, ImageDefinition>> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
  return new Map(names.map((name, index) => [name, parseImageDefinition(texts[index] ?? '', name)]));
}

describe('the definitions in images/', () => {
  it('are of Debian, Ubuntu and CentOS Stream, and the README tells of each', async () => {
    const found = await all();
    assert.deepEqual([...found.keys()], ['centos-stream-10.yaml', 'debian-12.yaml', 'ubuntu-24.04.yaml']);
    const readme = await readFile(join(directory, 'README.md'), 'utf8');
    for (const [file, { reference }] of found) {
      assert.ok(readme.includes(`\`${file}\``), file);
      const { tag, digest } = parseImageReference(reference);
      assert.ok(tag !== undefined && tag !== 'latest' && digest === undefined, reference);
    }
  });

  it('name what people need, each package once, and no services', async () => {
    for (const [file, { source }] of await all()) {
      assert.equal(new Set(source.packages).size, source.packages.length, file);
      for (const needed of ['sudo', 'tmux', 'git', 'curl', 'rsync', 'ca-certificates'])
        assert.ok(source.packages.includes(needed), `${file}: ${needed}`);
      for (const unwanted of ['systemd', 'openssh-server', 'linux-image-amd64']) assert.ok(!source.packages.includes(unwanted), file);
    }
  });

  it('are made by scripts that debootstrap has', async () => {
    for (const [file, { source }] of await all()) {
      if (source.tool !== 'debootstrap') continue;
      assert.ok(existsSync(`/usr/share/debootstrap/scripts/${source.script ?? source.suite}`), file);
    }
  });

  it('become commands that check every signature', async () => {
    const found = await all();
    const commandOf = (file: string): string => buildCommand(found.get(file) ?? assert.fail(file), '/build', []).join(' ');
    const packages = (file: string, separator: string): string => found.get(file)?.source.packages.join(separator) ?? '';
    const isolated = 'unshare --mount --propagation private';
    assert.equal(
      commandOf('debian-12.yaml'),
      `${isolated} debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --components=main ` +
        `--include=${packages('debian-12.yaml', ',')} bookworm /build http://deb.debian.org/debian`,
    );
    assert.equal(
      commandOf('ubuntu-24.04.yaml'),
      `${isolated} debootstrap --variant=minbase --keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg --components=main,universe ` +
        `--include=${packages('ubuntu-24.04.yaml', ',')} noble /build http://archive.ubuntu.com/ubuntu /usr/share/debootstrap/scripts/gutsy`,
    );
    const key = 'file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-Official-SHA256';
    const repository = (name: string, folder: string): string =>
      `--repofrompath=${name},https://mirror.stream.centos.org/10-stream/${folder}/$basearch/os/ ` +
      `--setopt=${name}.gpgcheck=1 --setopt=${name}.gpgkey=${key} --enablerepo=${name}`;
    assert.equal(
      commandOf('centos-stream-10.yaml'),
      `${isolated} dnf --assumeyes --installroot=/build --disablerepo=* ${repository('baseos', 'BaseOS')} ` +
        `${repository('appstream', 'AppStream')} --setopt=install_weak_deps=False --setopt=tsflags=nodocs --setopt=keepcache=False ` +
        `--releasever=10 install ${packages('centos-stream-10.yaml', ' ')}`,
    );
  });

  it("are made from this machine's own source of the same distribution", async () => {
    const debian = (await all()).get('debian-12.yaml') ?? assert.fail('none');
    assert.equal(buildCommand(debian, '/build', ['deb http://near.example/debian bookworm main']).at(-1), 'http://near.example/debian');
  });
});

it('packCommand() leaves out what belongs to the build', () => {
  const command = packCommand('/build', '/out.tar');
  assert.deepEqual(command.slice(-5), ['--file', '/out.tar', '--directory', '/build', '.']);
  assert.ok(command.includes('--exclude=./proc/*') && command.includes('--exclude=./var/lib/apt/lists/*'));
});

it('importLines() say what a person types', () => {
  const definition: ImageDefinition = {
    reference: 'debian:12',
    source: { tool: 'debootstrap', suite: 's', mirror: 'http://x', keyring: '/k', components: ['main'], packages: [] },
    command: ["it's"],
    env: { LANG: 'C' },
  };
  assert.deepEqual(importLines(definition, 'd.tar'), [
    `docker import --change 'CMD ["it'\\''s"]' --change 'ENV LANG=C' d.tar REGISTRY/debian:12`,
    'docker push REGISTRY/debian:12',
  ]);
});

it('parseImageDefinition() says where a definition is wrong', () => {
  const good = 'suite: a, mirror: "http://x", keyring: /k, components: [main], packages: [b]';
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['[', /^d\.yaml: /],
    ['1', /d\.yaml: must be an object/],
    ['reference: a:1', /it must have one of debootstrap and dnf/],
    [`{ reference: A, debootstrap: { ${good} }, command: [x] }`, /reference: must be a text of the form/],
    [`{ reference: "a:1", debootstrap: { ${good}, colour: red }, command: [x] }`, /debootstrap\.colour: is unknown; there are suite,/],
    [`{ reference: "a:1", debootstrap: { ${good.replace('[b]', '["--hook"]')} }, command: [x] }`, /debootstrap\.packages: must be a list/],
    [`{ reference: "a:1", debootstrap: { ${good.replace('http://x', 'file:///x')} }, command: [x] }`, /debootstrap\.mirror: /],
    [`{ reference: "a:1", debootstrap: { ${good} } }`, /command: must be a list/],
    [
      '{ reference: "a:1", dnf: { release: "1", repositories: { "a b": "http://x" }, keyring: /k, packages: [b] }, command: [x] }',
      /repositories\.a b: is no name/,
    ],
  ];
  for (const [text, message] of wrong) {
    assert.throws(
      () => parseImageDefinition(text, 'd.yaml'),
      (error: unknown) => error instanceof UserError && message.test(error.message),
      text,
    );
  }
});
