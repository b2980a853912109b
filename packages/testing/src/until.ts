/** Waiting for a condition. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** What is awaited, for the error; the condition's source by default. */
  what?: string;
  timeoutMs?: number;
  intervalMs?: number;
  /** Ends the wait: it rejects with an AbortError. */
  signal?: AbortSignal;
}

/** Resolves when the condition is true. Rejects after the timeout, which must be below the test's own. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { what = String(condition), timeoutMs = 25_000, intervalMs = 20, signal }: UntilOptions = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(intervalMs, undefined, { signal });
  }
}
