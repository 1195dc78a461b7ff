/** Debian's (and Ubuntu's) packages, as apt and dpkg of this machine give them. Nothing is installed. */
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packages, plainPackages } from './toolbox-contents.ts';

export interface PackageFile {
  package: string;
  /** As apt calls the file. */
  file: string;
  bytes: number;
  /** `SHA256:<hex>`, or another hash with its name. */
  hash: string;
}

const run = promisify(execFile);
const downloadTimeoutMs = 10 * 60_000;
const queryTimeoutMs = 60_000;
/** A package has fewer. */
const mostPackages = 80;

/** Answers standard output. Rejects with what apt said. */
async function command(
  program: string,
  args: readonly string[],
  options: { cwd?: string; timeout: number; signal: AbortSignal },
): Promise<string> {
  const env = {
    ...process.env,
    PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
    LC_ALL: 'C',
    DEBIAN_FRONTEND: 'noninteractive',
  };
  try {
    const { stdout } = await run(program, [...args], { ...options, env, maxBuffer: 32 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    options.signal.throwIfAborted();
    const { stderr = '', message, code } = error as { stderr?: string; message: string; code?: unknown };
    if (code === 'ENOENT')
      throw new Error(`this machine has no ${program}: the tools of SSH are made from Debian's or Ubuntu's packages`, { cause: error });
    const said = stderr.split('\n').find((line) => line.startsWith('E: ')) ?? stderr.trim().split('\n').pop() ?? '';
    throw new Error(`${program} ${args.slice(0, 3).join(' ')}: ${said === '' ? message : said}`, { cause: error });
  }
}

/** apt with lists of packages of its own, for a machine whose own ones are old or missing; the machine's are not touched. */
export class AptSource {
  readonly #options: readonly string[];
  readonly #signal: AbortSignal;

  private constructor(options: readonly string[], signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** With the lists that the machine has. */
  static ofMachine(signal: AbortSignal): AptSource {
    return new AptSource([], signal);
  }

  /** With fresh lists under `directory`. */
  static async fresh(directory: string, signal: AbortSignal): Promise<AptSource> {
    for (const folder of ['lists/partial', 'cache/archives/partial']) await mkdir(join(directory, folder), { recursive: true });
    const options = ['-o', `Dir::State::lists=${directory}/lists`, '-o', `Dir::Cache=${directory}/cache`, '-o', 'APT::Sandbox::User=root'];
    await command('apt-get', [...options, 'update', '-q'], { timeout: downloadTimeoutMs, signal });
    return new AptSource(options, signal);
  }

  /** What the toolbox is made of, by name: the packages and every library that they depend on. */
  async files(): Promise<PackageFile[]> {
    const names = [...(await this.#withLibraries([...packages])), ...plainPackages].sort();
    const uris = await this.#apt(['download', '--print-uris', ...names], queryTimeoutMs);
    const files = uris.split('\n').flatMap((line) => {
      const match = /^'[^']*' (\S+) (\d+) (\S+)$/.exec(line);
      const file = match?.[1] ?? '';
      return match === null ? [] : [{ package: file.slice(0, file.indexOf('_')), file, bytes: Number(match[2]), hash: match[3] ?? '' }];
    });
    const missing = names.filter((name) => !files.some((each) => each.package === name));
    if (missing.length > 0) throw new Error(`apt-get has no package of ${missing.join(', ')}`);
    return files;
  }

  /** Answers paths. apt checks what it gets against the signed lists. */
  async download(files: readonly PackageFile[], directory: string): Promise<string[]> {
    await this.#apt(['download', ...files.map((each) => each.package)], downloadTimeoutMs, directory);
    return (await readdir(directory)).filter((name) => name.endsWith('.deb')).map((name) => join(directory, name));
  }

  async #withLibraries(roots: readonly string[]): Promise<string[]> {
    const found = new Set<string>();
    for (let level = [...roots]; level.length > 0;) {
      for (const name of level) found.add(name);
      if (found.size > mostPackages) throw new Error(`the tools need more than ${mostPackages} packages; that is not right`);
      level = (await this.#dependencies(level)).filter((name) => isLibrary(name) && !found.has(name));
    }
    return [...found];
  }

  /** Of alternatives the first; virtual ones left out. */
  async #dependencies(names: readonly string[]): Promise<string[]> {
    const only = ['--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances'];
    const args = [...this.#options, 'depends', ...only, ...names];
    const lines = (await command('apt-cache', args, { timeout: queryTimeoutMs, signal: this.#signal })).split('\n');
    const chosen = lines.filter((line, index) => /^ [ |](Pre)?Depends: [a-z0-9]/.test(line) && lines[index - 1]?.startsWith(' |') !== true);
    return [...new Set(chosen.map((line) => line.slice(line.indexOf(': ') + 2).split(':')[0] ?? ''))];
  }

  async #apt(args: readonly string[], timeout: number, cwd?: string): Promise<string> {
    const options = [
      '-q',
      '-o',
      'APT::Sandbox::User=root',
      '-o',
      'Acquire::Retries=2',
      '-o',
      'Acquire::http::Timeout=30',
      ...this.#options,
    ];
    return command('apt-get', [...options, ...args], { timeout, signal: this.#signal, ...(cwd === undefined ? {} : { cwd }) });
  }
}

/** By Debian's ways of naming. */
function isLibrary(name: string): boolean {
  return /^z?lib/.test(name) && !/-(bin|common|runtime|modules)$/.test(name);
}

/** Unpacks the files of a package, without its scripts. */
export async function unpack(deb: string, directory: string, signal: AbortSignal): Promise<void> {
  await command('dpkg-deb', ['-x', deb, directory], { timeout: queryTimeoutMs, signal });
}

/** As Debian calls this machine's processors. */
export async function debianArchitecture(signal: AbortSignal): Promise<string> {
  return (await command('dpkg', ['--print-architecture'], { timeout: queryTimeoutMs, signal })).trim();
}
