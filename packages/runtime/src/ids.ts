import { randomFillSync, randomInt } from 'node:crypto';
import { v7 } from 'uuid';

/** A UUID of version 7 (RFC 9562 §5.7). Later ids of this process sort later. */
export function newId(): string {
  const now = Date.now();
  // Within a millisecond, or when the clock is set back, a counter increases (§6.2, method 1).
  if (now > msecs) seq = randomInt(2 ** 31);
  else seq += 1;
  msecs = Math.max(now, msecs);
  return v7({ msecs, seq, random: sixteenBytes() });
}

let msecs = 0;
let seq = 0;

const page = new Uint8Array(4096);
let used = page.length;

function sixteenBytes(): Uint8Array {
  if (used === page.length) {
    randomFillSync(page);
    used = 0;
  }
  used += 16;
  return page.subarray(used - 16, used);
}

/** The time in an id: the first 48 bits of a UUID of version 7 are milliseconds since 1970. */
export function timeOf(id: string): Date {
  return new Date(parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}
