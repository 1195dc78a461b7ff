import type { StringFlag } from './command.ts';

export const outputFlag = {
  type: 'string',
  value: 'FORMAT',
  short: 'o',
  choices: ['text', 'json'],
  default: 'text',
  description: 'form of the answer',
} as const satisfies StringFlag;
