/** What `start-sshd` says of an image before sshd starts. It comes from inside the instance: text of a stranger. Pure. */

export interface ImageFacts {
  uid: number;
  gid: number;
  /** As the image calls whom it runs as; absent where it does not know them. */
  name?: string;
  /** A folder that is there. */
  home?: string;
  /** A program that is there. */
  shell?: string;
  /** Whether `/tmp` can be written. */
  hasTemporary: boolean;
  passwd: string;
  group: string;
  environment: readonly string[];
}

/** `lines` up to the one that says `ready`. @throws {Error} when they are not what the script says. */
export function parseImageFacts(lines: readonly string[]): ImageFacts {
  const values = new Map(lines.map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
  const id = (name: string): number => {
    const value = Number(values.get(name));
    if (!Number.isSafeInteger(value) || value < 0 || value > 0xffff_fffe) throw new Error(`the instance does not say its ${name}`);
    return value;
  };
  const text = (name: string): string => Buffer.from(values.get(name) ?? '', 'base64').toString('utf8');
  const path = (name: string): Record<string, string> => {
    const value = values.get(name) ?? '';
    return value.startsWith('/') && !/[:\n]/.test(value) ? { [name]: value } : {};
  };
  const name = values.get('name') ?? '';
  return {
    uid: id('uid'),
    gid: id('gid'),
    ...(isAccountName(name) ? { name } : {}),
    ...path('home'),
    ...path('shell'),
    hasTemporary: values.get('temporary') === 'yes',
    passwd: text('passwd'),
    group: text('group'),
    environment: text('environment')
      .split('\0')
      .filter((entry) => entry !== ''),
  };
}

/** What useradd takes, and a little more. */
export function isAccountName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/.test(name);
}
