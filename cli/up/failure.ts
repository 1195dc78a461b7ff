import { errorCatalogue, UserError, type ErrorName } from '../../api/errors.ts';
import { ChildError } from '../../runtime/child-process.ts';

/** When a child of ours printed one of our one-line errors before it ended, that error, to be shown instead of the log around it. Pure. */
export function explainFailure(error: unknown): unknown {
  if (!(error instanceof ChildError)) return error;
  for (const line of error.lastLines.toReversed()) {
    const match = /^(PLK\d{3}) (.*?)\. (.*)$/.exec(line.trim());
    const name = Object.entries(errorCatalogue).find(([, code]) => code === match?.[1])?.[0] as ErrorName | undefined;
    if (name !== undefined && match?.[2] !== undefined) return new UserError(name, match[2], match[3] ?? '', { cause: error });
  }
  return error;
}
