/** Measures throughput with iperf3 between two network namespaces of this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { runCommand } from '../../node-agent/engine/run-command.ts';
import { eventually } from './eventually.ts';

export interface IperfServer {
  stop(): Promise<void>;
}

/** In the namespace; serves one test at a time. */
export async function startIperfServer(namespace: string, address: string, port: number): Promise<IperfServer> {
  const args = ['--server', '--bind', address, '--port', String(port)];
  const child = spawn('nsenter', [`--net=${namespace}`, 'iperf3', ...args], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await eventually(
    async () => {
      const listening = await runCommand('nsenter', [`--net=${namespace}`, 'ss', '-Hltn', `sport = :${port}`]);
      if (listening.trim() === '') throw new Error('it does not listen yet');
    },
    { timeoutMs: 10_000, what: `iperf3 on port ${port}` },
  );
  return {
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export interface IperfRun {
  /** Where the client runs, for `nsenter --net=`. */
  namespace: string;
  server: string;
  port: number;
  /** `down` is towards the client. */
  way: 'up' | 'down';
  flows?: number;
  /** UDP at this rate in bit/s, instead of TCP. */
  udpBitsPerSecond?: number;
  /** Of TCP; the machine's default when absent. `reno` is on every machine. */
  congestion?: 'reno';
  seconds: number;
}

/** Answers bit/s that arrived, of the payload. The first second does not count. */
export async function measureThroughput(run: IperfRun): Promise<number> {
  const { namespace, server, port, way, flows = 1, udpBitsPerSecond, congestion, seconds } = run;
  const args = [
    '--client',
    server,
    '--port',
    String(port),
    '--time',
    String(seconds),
    '--omit',
    '1',
    '--parallel',
    String(flows),
    '--json',
  ];
  if (way === 'down') args.push('--reverse');
  // What fits into a packet with the headers of the longest way.
  if (udpBitsPerSecond !== undefined) args.push('--udp', '--bitrate', String(udpBitsPerSecond), '--length', '1448');
  if (congestion !== undefined) args.push('--congestion', congestion);
  args.push('--connect-timeout', '5000');
  const text = await runCommand('nsenter', [`--net=${namespace}`, 'iperf3', ...args]).catch((error: unknown) => {
    throw new Error(`iperf3 ${way} with ${flows} flows did not work: ${String(error).slice(0, 300)}`);
  });
  const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second;
}
