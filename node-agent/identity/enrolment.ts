import { readIfThere, writeFileAtomically } from '../../apiserver/access/write-file.ts';
import type { AgentFolder } from './agent-folder.ts';

/** Who this machine is in the pool that it joined, beside its keys. */
export interface Enrolment {
  providerName: string;
  providerUid: string;
  /** As given to `--engine`. */
  engine: string;
  /** The owner's policy file, where it is not in its ordinary place. */
  ownerPolicy?: string;
  /** `up`: the pool itself runs here. Machines that were enrolled before there was another way have none. */
  by?: 'up' | 'join';
  /**
   * Set while `potluck leave` is at work, so that it can be run again: it waits for the last instance, or there is none any more and what is
   * here is removed, the Provider last.
   */
  leaving?: 'draining' | 'drained';
  /** Who it was before it joined anew, while containers of that time may still be here. Nobody else will ever claim them. */
  former?: string;
}

/** For the enrolment of a machine that was `before` and is `providerUid` now. */
export function formerOf(before: Enrolment | undefined, providerUid: string): Pick<Enrolment, 'former'> {
  const former = before === undefined || before.providerUid === providerUid ? before?.former : before.providerUid;
  return former === undefined ? {} : { former };
}

/** Undefined where nothing is enrolled; a damaged file counts as none, and is written anew by the next `potluck up` or `join`. */
export async function readEnrolment(folder: AgentFolder): Promise<Enrolment | undefined> {
  try {
    const { providerName, providerUid, engine, ownerPolicy, by, leaving, former } = JSON.parse(
      (await readIfThere(folder.enrolment)) ?? '',
    ) as Partial<Enrolment>;
    if (typeof providerName !== 'string' || typeof providerUid !== 'string' || typeof engine !== 'string') return undefined;
    return {
      providerName,
      providerUid,
      engine,
      ...(typeof ownerPolicy === 'string' ? { ownerPolicy } : {}),
      ...(by === 'join' ? { by } : { by: 'up' }),
      ...(leaving === 'draining' || leaving === 'drained' ? { leaving } : {}),
      ...(typeof former === 'string' ? { former } : {}),
    };
  } catch {
    return undefined;
  }
}

export async function writeEnrolment(folder: AgentFolder, enrolment: Enrolment): Promise<void> {
  await writeFileAtomically(folder.enrolment, `${JSON.stringify(enrolment, null, 2)}\n`, 0o600);
}
