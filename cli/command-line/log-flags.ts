import type { Flags } from './command.ts';

/** For processes that log to standard error. */
export const logFlags = {
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    description: 'how much to log',
  },
  'log-format': { type: 'string', value: 'FORMAT', choices: ['text', 'json'], default: 'text', description: 'how to log' },
} as const satisfies Flags;
