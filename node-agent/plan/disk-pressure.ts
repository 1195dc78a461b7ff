/** When an instance's disk counts as nearly full. Pure. */
import { isTrue } from '../../api/conditions.ts';
import type { ConditionUpdate } from '../../api/conditions.ts';
import type { Condition } from '../../api/object.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';

/** Of the limit. Between the two the condition stays as it is, so that an instance at the edge does not flicker. */
const fullFraction = 0.8;
const roomFraction = 0.75;

/** Undefined when there is nothing to say: not measured, no limit, or never under pressure. */
export function diskPressure(
  usedBytes: number | undefined,
  limitBytes: number,
  conditions: Condition[] | undefined,
): ConditionUpdate | undefined {
  if (usedBytes === undefined || limitBytes === 0) return undefined;
  const was = isTrue(conditions, conditionTypes.diskPressure);
  const is = usedBytes >= (was ? roomFraction : fullFraction) * limitBytes;
  if (!is && !was) return undefined;
  const [used, limit] = [mebibytes(usedBytes), mebibytes(limitBytes)];
  const message = `The instance has written ${used} of the ${limit} MiB that its disk may hold (${Math.round((usedBytes / limitBytes) * 100)} %)`;
  const type = conditionTypes.diskPressure;
  return is
    ? { type, status: 'True', reason: reasons.diskAlmostFull, message: `${message}; writes fail when it is full` }
    : { type, status: 'False', reason: reasons.diskHasRoom, message };
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024);
}
