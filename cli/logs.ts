import { pipeline } from 'node:stream/promises';
import { UserError } from '../api/errors.ts';
import { defineCommand } from './command-line/command.ts';
import { parseDuration } from './command-line/parse-duration.ts';
import { instanceFlags, podPath } from './instance-flags.ts';
import { withClient } from './with-client.ts';

const longestMs = 365 * 86_400_000;

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'shows what an instance writes',
  details:
    'Its standard output and standard error since it was last started. Followed, the log goes on when the instance is started again.',
  arguments: [{ name: 'INSTANCE', description: 'the name of the instance' }],
  flags: {
    follow: { type: 'boolean', short: 'f', description: 'goes on with what comes' },
    tail: { type: 'string', value: 'LINES', description: 'only the last lines' },
    since: { type: 'string', value: 'DURATION', description: 'only what is younger, as 30s, 10m or 2h' },
    timestamps: { type: 'boolean', description: 'each line with its time' },
    previous: { type: 'boolean', short: 'p', description: 'of the run before the last start' },
    ...instanceFlags,
  },
  run: (values, [name = '']) =>
    withClient(values, async ({ client, kubeconfig }) => {
      const query = new URLSearchParams();
      for (const flag of ['follow', 'timestamps', 'previous'] as const) if (values[flag]) query.set(flag, 'true');
      if (values.tail !== undefined) query.set('tailLines', wholeNumber(values.tail));
      if (values.since !== undefined)
        query.set('sinceSeconds', String(Math.max(1, Math.ceil(parseDuration('since', values.since, longestMs) / 1000))));
      const path = await podPath({ namespace: values.namespace, kubeconfig }, name, 'log');
      const stop = new AbortController();
      const log = await client.stream(`${path}?${query.toString()}`, stop.signal);
      // Whoever reads may have enough: `potluck logs web | head`.
      await pipeline(log, process.stdout, { end: false }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
      });
      stop.abort();
      return 0;
    }),
});

function wholeNumber(text: string): string {
  if (/^\d{1,9}$/u.test(text)) return text;
  throw new UserError('BAD_ARGUMENT', `--tail ${text} is no number of lines`, 'Give a whole number from 0 on');
}
