/** Replicas that are told to stop while requests come in through the gateway: how many requests that breaks. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../chaos/system-under-test.ts';

export interface Stopped {
  requests: number;
  broken: string[];
  /** What replicas ended with that was not code 0. */
  codes: string[];
}

const clients = 16;

/** Stops each replica and starts it again, one after the other. */
export async function stopEach(stage: Stage, signal: AbortSignal): Promise<Stopped> {
  const result: Stopped = { requests: 0, broken: [], codes: [] };
  let over = false;
  const headers = { 'Content-Type': 'application/json' };
  const requests: [path: string, init: RequestInit][] = [
    ['/tasks', { method: 'POST', headers, body: '{"title":"stop"}' }],
    ['/tasks?limit=10', {}],
    ['/user/users?limit=10', {}],
    ['/tasks/feed?wait=1&cursor=latest', {}],
  ];
  const running = Array.from({ length: clients }, async (_, number) => {
    const [path, init] = requests[number % requests.length] as (typeof requests)[number];
    while (!over) {
      const answer = await fetch(stage.url + path, init).then(
        async (response) => {
          await response.arrayBuffer();
          return response.ok ? '' : String(response.status);
        },
        (error: unknown) => String(error),
      );
      result.requests++;
      if (answer) result.broken.push(`${init.method ?? 'GET'} ${path}: ${answer}`);
    }
  });
  for (const replica of stage.replicas) {
    await sleep(500);
    const reason = await replica.end('SIGTERM');
    if (reason !== 'code 0') result.codes.push(`${replica.name}: ${reason}`);
    await replica.startAgain();
    await stage.recover(signal);
  }
  await sleep(500);
  over = true;
  await Promise.all(running);
  return result;
}
