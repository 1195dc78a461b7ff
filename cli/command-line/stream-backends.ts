import { UserError } from '../../api/errors.ts';

/** Reads values of the form `name=https://host:port`; of two with one name the last counts. Throws `BAD_ARGUMENT`. */
export function parseStreamBackends(values: readonly string[]): ReadonlyMap<string, URL> {
  return new Map(
    values.map((text) => {
      const [, name, address = ''] = /^([a-z0-9-]+)=(\S+)$/u.exec(text) ?? [];
      const url = URL.canParse(address) ? new URL(address) : undefined;
      // An address that has the port of its scheme has none in a URL.
      const isBare = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
      if (name === undefined || url?.protocol !== 'https:' || !isBare) {
        throw new UserError(
          'BAD_ARGUMENT',
          `--stream-backend has ${JSON.stringify(text)}, which is no backend`,
          'Give a name and an address, as gateway=https://127.0.0.1:6444',
        );
      }
      return [name, url];
    }),
  );
}
