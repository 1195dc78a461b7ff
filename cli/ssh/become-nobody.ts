/** Gives root's rights up for good, for a process that talks to strangers. */
import { UserError } from '../../api/errors.ts';

/** On every Linux; owns nothing. */
const nobody = 65_534;

/** Does nothing where we are not root. What has to be read or listened to with rights must be before. */
export function becomeNobody(): void {
  if (process.getuid?.() !== 0) return;
  process.setgroups?.([nobody]);
  process.setgid?.(nobody);
  process.setuid?.(nobody);
  if (process.getuid() === 0 || process.getgid?.() === 0) {
    throw new UserError('UNSUPPORTED_SYSTEM', 'the rights of root cannot be given up', 'Run the jump host as a user of its own');
  }
}
