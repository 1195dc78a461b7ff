import { defaultOwnerPolicyPath } from '../node-agent/owner-policy/policy-keeper.ts';
import type { StringFlag } from './command-line/command.ts';

export const ownerPolicyFlag = {
  type: 'string',
  value: 'FILE',
  default: defaultOwnerPolicyPath,
  description: "what this machine's owner allows the pool; nothing is bounded where there is no such file",
} as const satisfies StringFlag;
