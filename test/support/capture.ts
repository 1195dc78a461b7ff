/** Watches a link for packets with tcpdump. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.ts';

export interface Capture {
  /**
   * Answers what was seen, one line for each packet, once a packet that `knock` sends was seen as well: it came last, so nothing is on its
   * way any more, and what is not in the answer was not there.
   */
  seenUntil(knock: () => Promise<unknown>): Promise<string[]>;
  stop(): Promise<void>;
}

/** Of these packets the capture is told by `seenUntil`; they are UDP. */
export const knockPort = 9_999;

/** `direction` as tcpdump has it: of packets that the link brings in, unless it is said otherwise. */
export async function startCapture(namespace: string, link: string, filter: string, direction: 'in' | 'inout' = 'in'): Promise<Capture> {
  const expression = `(${filter}) or (udp and dst port ${knockPort})`;
  const args = [`--net=${namespace}`, 'tcpdump', '-i', link, '-n', '-l', '-t', '--immediate-mode', '-Q', direction, expression];
  const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually(
    () => {
      if (!said.includes('listening on')) throw new Error(said);
      return Promise.resolve();
    },
    { timeoutMs: 10_000, what: `tcpdump on ${link}` },
  );
  const isKnock = (line: string): boolean => line.includes(`.${knockPort}: UDP`);
  return {
    seenUntil: async (knock) => {
      const from = lines.filter(isKnock).length;
      const knocked = async (): Promise<void> => {
        await knock();
        if (lines.filter(isKnock).length <= from)
          throw new Error(`the knock was not seen on ${link}; seen: ${lines.slice(-5).join(' | ')}`);
      };
      await eventually(knocked, { timeoutMs: 10_000, what: `a packet on ${link}`, intervalMs: 100 });
      return lines.splice(0).filter((line) => !isKnock(line));
    },
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
