/** How much of the engine's disk pulls may take. Pure. */
import { parseQuantity, quantityToNumber } from '../../api/quantity.ts';
import type { ImageRoom } from './image-puller.ts';

/** Stays free: containers that run need room to write, and btrfs to breathe. */
const floorFraction = 0.05;

/** `maxImageSize` as the Provider has it. */
export function roomForImages(disk: { sizeBytes: number; freeBytes: number }, maxImageSize: string | number | undefined): ImageRoom {
  return {
    mostBytes: maxImageSize === undefined ? undefined : Math.floor(quantityToNumber(parseQuantity(maxImageSize))),
    freeBytes: Math.floor(disk.freeBytes - floorFraction * disk.sizeBytes),
  };
}
