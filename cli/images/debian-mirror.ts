/** Where this machine gets its Debian packages from, so that a root file system can come from there too. Pure. */

/**
 * The first archive among apt's sources that has the suite.
 *
 * @param otherwise used where no source has it
 * @param sources the texts of /etc/apt/sources.list and of the files in sources.list.d, in either of apt's formats (sources.list(5))
 */
export function debianMirror(sources: readonly string[], suite: string, otherwise: string): string {
  for (const text of sources) {
    const found = text.includes('Types:') ? fromStanzas(text, suite) : fromLines(text, suite);
    if (found !== undefined) return found.replace(/\/+$/, '');
  }
  return otherwise;
}

function fromLines(text: string, suite: string): string | undefined {
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(https?:\S+)\s+(\S+)\s+(.*)$/.exec(line);
    if (match?.[2] === suite && match[3]?.split(/\s+/).includes('main') === true) return match[1];
  }
  return undefined;
}

function fromStanzas(text: string, suite: string): string | undefined {
  for (const stanza of text.split(/\n\s*\n/)) {
    const words = (key: string): string[] =>
      (new RegExp(`^${key}:(.*)$`, 'im').exec(stanza)?.[1] ?? '').split(/\s+/).filter((word) => word !== '');
    const isRight = words('Types').includes('deb') && words('Suites').includes(suite) && words('Components').includes('main');
    const uri = words('URIs').find((candidate) => /^https?:/.test(candidate));
    if (isRight && uri !== undefined && !words('Enabled').includes('no')) return uri;
  }
  return undefined;
}
