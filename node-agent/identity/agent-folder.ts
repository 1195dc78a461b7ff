/** Where the identity of a machine is kept: one folder (0700), every file in it 0600 from its first byte on. */
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface AgentFolder {
  path: string;
  identityKey: string;
  kubeconfig: string;
  enrolment: string;
  /** What was asked for and not answered yet. */
  pendingRequest: string;
}

export function agentFolder(home: string): AgentFolder {
  const path = join(home, 'agent');
  return {
    path,
    identityKey: join(path, 'identity.key'),
    kubeconfig: join(path, 'kubeconfig'),
    enrolment: join(path, 'enrolment.json'),
    pendingRequest: join(path, 'pending-request.json'),
  };
}

/** A folder that was made before by somebody more generous is closed. */
export async function makeAgentFolder(folder: AgentFolder): Promise<void> {
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  await chmod(folder.path, 0o700);
}
