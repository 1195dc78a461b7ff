/** Whether the owner's policy file is as it should be, as the Provider's status says it. Pure. */
import type { ConditionUpdate } from '../../api/conditions.ts';
import { conditionTypes, reasons } from '../../api/reasons.ts';
import type { CurrentPolicy } from './policy-keeper.ts';

const longestMessage = 2_048;

export function ownerPolicyCondition({ file, status }: CurrentPolicy): ConditionUpdate {
  const type = conditionTypes.ownerPolicyValid;
  switch (file.kind) {
    case 'absent':
      return {
        type,
        status: 'True',
        reason: reasons.noPolicy,
        message: 'The machine has no policy of its owner: nothing is bounded but by the offer',
      };
    case 'valid':
      return { type, status: 'True', reason: reasons.policyRead, message: "The owner's policy counts as it was written" };
    case 'broken': {
      const counts = status?.reason === 'Unreadable' ? 'Nothing runs until it can be read' : 'The last good one goes on counting';
      return { type, status: 'False', reason: reasons.policyBroken, message: `${counts}: ${file.message}`.slice(0, longestMessage) };
    }
  }
}
