/** The commands that make a root file system from a definition. Pure. */
import { debianMirror } from './debian-mirror.ts';
import type { DebootstrapSource, DnfSource, ImageDefinition } from './image-definition.ts';

const scripts = '/usr/share/debootstrap/scripts';

/**
 * Makes the file system in `directory`.
 *
 * @param aptSources the texts of this machine's apt sources: where it gets the same distribution from, the image does too
 */
export function buildCommand({ source }: ImageDefinition, directory: string, aptSources: readonly string[]): string[] {
  const command = source.tool === 'debootstrap' ? debootstrap(source, directory, aptSources) : dnf(source, directory);
  // In a mount namespace of its own, so that what is mounted meanwhile is gone with it, however it ends.
  return ['unshare', '--mount', '--propagation', 'private', ...command];
}

function debootstrap(source: DebootstrapSource, directory: string, aptSources: readonly string[]): string[] {
  const { suite, script, keyring, components, packages } = source;
  const mirror = debianMirror(aptSources, suite, source.mirror);
  const options = [`--components=${components.join(',')}`, ...(packages.length === 0 ? [] : [`--include=${packages.join(',')}`])];
  const place = [suite, directory, mirror, ...(script === undefined ? [] : [`${scripts}/${script}`])];
  return ['debootstrap', '--variant=minbase', `--keyring=${keyring}`, ...options, ...place];
}

/** From the repositories of the definition alone, each package's signature checked. */
function dnf({ release, repositories, keyring, packages }: DnfSource, directory: string): string[] {
  const repositoryOptions = Object.entries(repositories).flatMap(([name, url]) => [
    `--repofrompath=${name},${url}`,
    `--setopt=${name}.gpgcheck=1`,
    `--setopt=${name}.gpgkey=file://${keyring}`,
    `--enablerepo=${name}`,
  ]);
  const options = ['--setopt=install_weak_deps=False', '--setopt=tsflags=nodocs', '--setopt=keepcache=False', `--releasever=${release}`];
  return ['dnf', '--assumeyes', `--installroot=${directory}`, '--disablerepo=*', ...repositoryOptions, ...options, 'install', ...packages];
}

/** Packs it, without what belongs to the build. */
export function packCommand(directory: string, file: string): string[] {
  const left = [
    './dev/*',
    './proc/*',
    './sys/*',
    './var/cache/apt/archives/*.deb',
    './var/lib/apt/lists/*',
    './var/cache/dnf/*',
    './var/log/bootstrap.log',
    './var/log/dnf*',
  ];
  const options = ['--create', '--numeric-owner', '--one-file-system', ...left.map((path) => `--exclude=${path}`)];
  return ['tar', ...options, '--file', file, '--directory', directory, '.'];
}

/** What a person types to put the result into a registry. */
export function importLines({ reference, command, env }: ImageDefinition, file: string): string[] {
  const changes = [`CMD ${JSON.stringify(command)}`, ...Object.entries(env).map(([name, value]) => `ENV ${name}=${value}`)];
  const options = changes.map((change) => `--change '${change.replaceAll("'", "'\\''")}'`).join(' ');
  return [`docker import ${options} ${file} REGISTRY/${reference}`, `docker push REGISTRY/${reference}`];
}
