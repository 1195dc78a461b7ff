import { UserError } from '../../api/errors.ts';

/** Reads `name=https://host:port`, several of them apart by commas. Throws `BAD_ARGUMENT`. */
export function parseStreamBackends(text = ''): ReadonlyMap<string, URL> {
  const parts = text.split(',').filter((part) => part.trim() !== '');
  return new Map(
    parts.map((part) => {
      const [, name, address = ''] = /^\s*([a-z0-9-]+)=(\S+)\s*$/u.exec(part) ?? [];
      const url = URL.canParse(address) ? new URL(address) : undefined;
      if (name === undefined || url?.protocol !== 'https:' || url.port === '' || url.pathname !== '/' || url.search !== '') {
        throw new UserError(
          'BAD_ARGUMENT',
          `--stream-backend has ${JSON.stringify(part)}, which is no backend`,
          'Give a name and an address, as gateway=https://127.0.0.1:6444',
        );
      }
      return [name, url];
    }),
  );
}
