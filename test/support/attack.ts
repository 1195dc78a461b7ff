/** What an instance could try against the walls, and more: with the tools and the rights of the machine's root, from inside its network. */
import { runCommand } from '../../node-agent/engine/run-command.ts';

/** A shell script that ends well whatever of it works. It has bash for its sockets, and busybox for the rest. */
export async function tryHard(namespace: string, script: string): Promise<string> {
  return runCommand('nsenter', [`--net=${namespace}`, 'bash', '-c', `${script}\ntrue`]);
}

/** By TCP, UDP and ping, all at once. */
export function reachFor(addresses: readonly string[]): string {
  const tries = addresses.map(
    (address) => `
for port in 22 53 80 2375 6443; do (timeout 1 bash -c "echo x > /dev/tcp/${address}/$port") 2>/dev/null & done
for port in 53 80 161; do (echo x > /dev/udp/${address}/$port) 2>/dev/null & done
busybox ping -c 2 -W 1 ${address} >/dev/null 2>&1 &`,
  );
  return `${tries.join('\n')}\nwait`;
}

/** Another instance on the same bridge, past every rule of IP: by ARP, by frames to its own address, in its name, and by IPv6. */
export function reachNeighbour(neighbour: { address: string; mac: string }, own: { address: string; mac: string }): string {
  return `
busybox arping -c 2 -w 2 -I eth0 ${neighbour.address} >/dev/null 2>&1 &
busybox arping -U -c 2 -w 2 -I eth0 -s ${own.address} ${neighbour.address} >/dev/null 2>&1 &
ip neigh replace ${neighbour.address} lladdr ${neighbour.mac} dev eth0
(echo x > /dev/udp/${neighbour.address}/80) 2>/dev/null
(timeout 1 bash -c "echo x > /dev/tcp/${neighbour.address}/80") 2>/dev/null
ip neigh del ${neighbour.address} dev eth0
(echo x > /dev/udp/224.0.0.251/5353) 2>/dev/null
echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
ip -6 address add fd00::66/64 dev eth0 nodad
ip -6 neigh replace fd00::67 lladdr ${neighbour.mac} dev eth0
busybox ping6 -c 1 -W 1 fd00::67 >/dev/null 2>&1 &
busybox ping6 -c 1 -W 1 -I eth0 ff02::1 >/dev/null 2>&1 &
wait
ip -6 address flush dev eth0
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6`;
}

/** Takes the neighbour's address for its own, tells the gateway so, and puts its own back. */
export function impersonate(neighbour: { address: string; mac: string }, gateway: string): string {
  return `
ip address add ${neighbour.address}/21 dev eth0
busybox arping -U -c 2 -w 2 -I eth0 -s ${neighbour.address} ${gateway} >/dev/null 2>&1
busybox ping -c 1 -W 1 -I ${neighbour.address} ${gateway} >/dev/null 2>&1
ip address del ${neighbour.address}/21 dev eth0`;
}
