/**
 * The kernel's traffic control, as lines for `tc -batch`. Downloads are shaped where they leave the pool's bridge towards the instances, uploads where
 * they leave the pool towards the host; there is no address translation in between, so an instance is known by its address at both
 * places, which it cannot choose. Each place has one HTB: a parent for all, and under it a class for each instance. Pure.
 */
import type { Bandwidth } from './bandwidth-limits.ts';

/** One way of the traffic: the device on whose way out it is shaped, and how packets tell the instance. */
export interface Direction {
  device: string;
  match: 'dst' | 'src';
  limit: keyof Bandwidth;
}

export const directions: readonly Direction[] = [
  { device: 'docker0', match: 'dst', limit: 'ingressBitsPerSecond' },
  { device: 'eth0', match: 'src', limit: 'egressBitsPerSecond' },
];

/** What queues within a class: fair to the flows of one instance where the kernel has it. */
export type Leaf = 'fq_codel' | 'bfifo';

/** In the lines of one instance: its class, in hexadecimal, and its address. Known when it starts; the start guard's variables. */
const minorMark = '$minor';
const addressMark = '$address';

/** bit/s of a class without a limit; more than any owner's line. */
const unlimited = 100_000_000_000;
/** bit/s that a class has of its own. Next to nothing: what instances get is shared out by turns, the same bytes for each. */
const assured = 8_000;
/**
 * Bytes that come to us in one piece at most (the kernel's `gso_max_size`): TCP hands over many packets as one, up to 64 KB where the way is
 * short. Links before us are held to less, so that a piece neither blocks a slow line for long nor counts as one packet against others' many.
 */
export const mostBytesAtOnce = 16_384;
/** Bytes that a class may send in its turn. HTB takes one piece at least, so that less would count pieces, not bytes; with their headers. */
const quantum = 18_000;
const packetBytes = 1_514;
/** What may go out at once after a pause: the kernel is this late on a busy machine, and 10 packets at the least. */
const burstSeconds = 0.02;
const mostBurstBytes = 4_000_000;
/** How long a packet may wait in a plain queue, and the least that a burst of a sender needs. */
const queueSeconds = 0.1;
const leastQueueBytes = 128 * 1024;
const mostQueueBytes = 8 * 1024 * 1024;

/** Makes the HTB of a device that has none. */
export function makeRoot({ device }: Direction): string {
  return `qdisc replace dev ${device} root handle 1: htb\n`;
}

/** The parent: what all instances have together. */
export function shapeAll({ device, limit }: Direction, offer: Bandwidth): string {
  const rate = rateOf(offer, limit);
  const burst = burstBytes(rate);
  return `class replace dev ${device} parent 1: classid 1:1 htb rate ${rate}bit ceil ${rate}bit burst ${burst} cburst ${burst} quantum ${quantum}\n`;
}

/** One instance, with marks for what is only known when it starts; both ways. Safe to repeat, also on one that has other limits. */
export function shapeInstance(bandwidth: Bandwidth, leaf: Leaf): string {
  return directions.map((direction) => shapeOneWay(direction, rateOf(bandwidth, direction.limit), leaf)).join('');
}

function shapeOneWay({ device, match }: Direction, rate: number, leaf: Leaf): string {
  return [
    `class replace dev ${device} parent 1:1 classid 1:${minorMark} htb rate ${assured}bit ceil ${rate}bit burst ${packetBytes * 2} cburst ${burstBytes(rate)} quantum ${quantum}`,
    `qdisc replace dev ${device} parent 1:${minorMark} handle ${minorMark}: ${queue(leaf, rate)}`,
    `filter replace dev ${device} parent 1: protocol ip pref 10 handle 800::${minorMark} u32 match ip ${match} ${addressMark}/32 flowid 1:${minorMark}`,
    '',
  ].join('\n');
}

/** Takes the class of an instance away. */
export function unshapeInstance(): string {
  return directions
    .map(({ device }) =>
      [
        `filter del dev ${device} parent 1: protocol ip pref 10 handle 800::${minorMark} u32`,
        `class del dev ${device} classid 1:${minorMark}`,
        '',
      ].join('\n'),
    )
    .join('');
}

/** Puts in what is known of an instance once it has started. */
export function forInstance(commands: string, address: string): string {
  return commands.replaceAll(minorMark, minorOf(address)).replaceAll(addressMark, address);
}

/** A class for each of the 2,048 addresses of instances, beside those of the HTB itself. As the start guard computes it. */
export function minorOf(address: string): string {
  const [, , third = 0, fourth = 0] = address.split('.').map(Number);
  return ((third % 8) * 256 + fourth + 16).toString(16);
}

/** What the class of an address let through, from what `tc -statistics class show` prints: it has no other form for HTB. */
export function sentBytes(text: string, address: string): number {
  const [, sent] = new RegExp(`^class htb 1:${minorOf(address)} .*\\n Sent (\\d+) bytes `, 'm').exec(text) ?? [];
  return Number(sent ?? 0);
}

/** Within what the kernel takes. */
function rateOf(bandwidth: Bandwidth, limit: keyof Bandwidth): number {
  return Math.round(Math.min(unlimited, Math.max(assured, bandwidth[limit] ?? unlimited)));
}

function burstBytes(rate: number): number {
  return Math.round(Math.min(mostBurstBytes, Math.max(10 * packetBytes, (rate / 8) * burstSeconds)));
}

function queue(leaf: Leaf, rate: number): string {
  if (leaf === 'bfifo') {
    const limit = Math.min(mostQueueBytes, Math.max(leastQueueBytes, (rate / 8) * queueSeconds));
    return `bfifo limit ${Math.round(limit)}`;
  }
  // Its default of 5 ms is less than one packet takes on a slow line: then it would drop all the time.
  const targetMicros = Math.max(5_000, Math.ceil((1.5 * packetBytes * 8 * 1e6) / rate));
  return `fq_codel limit 1024 target ${targetMicros}us interval ${targetMicros * 20}us`;
}
