/** How long a certificate holds from now: as long as asked, and never longer than the pool gives. Pure. */
export function lifetimeMs(expirationSeconds: number | null | undefined, mostMs: number): number {
  return Math.min(mostMs, typeof expirationSeconds === 'number' ? expirationSeconds * 1000 : mostMs);
}
