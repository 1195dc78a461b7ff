/** The CEL environment that every schema's own is cloned from: the language, and Kubernetes' libraries. */
import { Environment } from '@marcbachmann/cel-js';
import type { Duration } from '@marcbachmann/cel-js/evaluator';
import { registerLists, registerSets } from './library-lists.ts';
import { registerCidrs, registerIps, registerUrls } from './library-net.ts';
import { registerQuantities } from './library-quantity.ts';
import { registerStrings } from './library-strings.ts';

function formatDuration(duration: Duration): string {
  const nanos = String(Math.abs(duration.nanos)).padStart(9, '0').replace(/0+$/, '');
  const negative = duration.seconds < 0n || duration.nanos < 0;
  const seconds = duration.seconds < 0n ? -duration.seconds : duration.seconds;
  return `${negative ? '-' : ''}${seconds}${nanos === '' ? '' : `.${nanos}`}s`;
}

function createBaseEnvironment(): Environment {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 10_000, maxDepth: 100 },
  });
  const sync = { async: false };
  registerQuantities(environment);
  registerStrings(environment);
  registerLists(environment);
  registerSets(environment);
  registerIps(environment);
  registerCidrs(environment);
  registerUrls(environment);
  return environment
    .registerFunction(
      'string(google.protobuf.Timestamp): string',
      (time: Date) =>
        time
          .toISOString()
          .replace(/\.?0+Z$/, 'Z')
          .replace(/T(\d\d:\d\d)Z$/, 'T$1:00Z'),
      sync,
    )
    .registerFunction('string(google.protobuf.Duration): string', formatDuration, sync)
    .registerFunction('int(google.protobuf.Timestamp): int', (time: Date) => BigInt(Math.floor(time.getTime() / 1000)), sync);
}

/** Clone it; it must not be changed. */
export const baseEnvironment: Environment = createBaseEnvironment();
