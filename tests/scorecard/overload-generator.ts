/** Loads one replica with `POST /tasks`, as a process of its own: it must not slow down what it measures. */
import { setTimeout as sleep } from 'node:timers/promises';
import { overloaded } from '@task-manager/runtime/errors';
import { Load, type Response } from '@task-manager/testing/load';
import { formatRequest } from '@task-manager/testing/raw-http';
import { quantile } from '@task-manager/testing/statistics';

export interface Job {
  port: number;
  /** Whether each request has an idempotency key. */
  keyed: boolean;
  /** Requests per second; null for as many as are answered, one after the other on each connection. */
  rate: number | null;
  connections: number;
  /** Nothing is counted before: connections are opened and code is compiled. */
  warmUpSeconds: number;
  seconds: number;
}

export interface Outcome {
  /** By status; 503 are rejections for overload, `unavailable` are other 503, 0 are requests without a response. */
  perSecond: Record<string, number>;
  goodPerSecond: number;
  goodMs: { p50: number; p99: number };
  rejectedMs: { p99: number; max: number };
  rejectedWithoutRetryAfter: number;
  /** The loop was not open: every connection was busy. */
  unsent: number;
}

process.on('message', (job: Job) => void play(job).then((outcome) => process.send?.(outcome)));

const headers = { 'Content-Type': 'application/json' };
const body = JSON.stringify({ title: 'Overload', description: 'One of very many.' });
/** Unique across jobs: a key that was used would be answered from its stored response. */
let number = Math.floor(Math.random() * 1e7);

async function play({ port, keyed, rate, connections, warmUpSeconds, seconds }: Job): Promise<Outcome> {
  const counts: Record<string, number> = {};
  const goodMs: number[] = [];
  const rejectedMs: number[] = [];
  let rejectedWithoutRetryAfter = 0;
  let isCounting = false;
  const bytes = formatRequest(
    'POST',
    '/tasks',
    { ...headers, ...(keyed && { 'Idempotency-Key': 'overload-NUMBER' }) },
    body,
  );
  const load = new Load({
    ...{ port, connections, ...(rate !== null && { rate }) },
    next: () => ({ bytes: bytes.replace('NUMBER', String(number++)) }),
    onResponse: (_, response) => {
      if (!isCounting) return;
      const status = statusOf(response);
      const timeMs = response.endedAt - response.startedAt;
      counts[status] = (counts[status] ?? 0) + 1;
      if (status.startsWith('2')) goodMs.push(timeMs);
      if (status !== '503') return;
      rejectedMs.push(timeMs);
      if (!/\r\nretry-after: \d/i.test(response.head)) rejectedWithoutRetryAfter++;
    },
  });
  load.start();
  await sleep(warmUpSeconds * 1000);
  load.unsent = 0;
  isCounting = true;
  const startedAt = performance.now();
  await sleep(seconds * 1000);
  isCounting = false;
  const elapsed = (performance.now() - startedAt) / 1000;
  await load.stop();
  return {
    perSecond: Object.fromEntries(Object.entries(counts).map(([status, count]) => [status, count / elapsed])),
    goodPerSecond: goodMs.length / elapsed,
    goodMs: { p50: quantile(goodMs, 0.5) || 0, p99: quantile(goodMs, 0.99) || 0 },
    rejectedMs: { p99: quantile(rejectedMs, 0.99) || 0, max: quantile(rejectedMs, 1) || 0 },
    rejectedWithoutRetryAfter,
    unsent: load.unsent,
  };
}

function statusOf({ status, body }: Response): string {
  return status === 503 && !body.includes(overloaded.message) ? 'unavailable' : String(status);
}
