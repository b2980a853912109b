/** Proves that ids sort by age and hold their creation time. */
import { describe, expect, it } from '@jest/globals';
import { newId, timeOf } from '@task-manager/runtime/ids';

describe('newId', () => {
  it('makes ids that sort by age, even within a millisecond', () => {
    const ids = Array.from({ length: 10_000 }, newId);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('timeOf', () => {
  it('returns the creation time to the millisecond', () => {
    const before = Date.now();
    const time = timeOf(newId()).getTime();
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
    // The example of RFC 9562, appendix A.6.
    expect(timeOf('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')).toEqual(new Date('2022-02-22T19:22:22.000Z'));
  });
});
