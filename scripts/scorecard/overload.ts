/** Twice as many requests as one replica can answer: what becomes of those that it answers, and of the others. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { rssMbOf } from '../memory.ts';
import type { Load, Outcome } from './load.ts';

export interface Overload {
  /** Requests a second: the best that were answered as fast as they were asked, before or after, and those asked for meanwhile. */
  best: number;
  offered: number;
  outcome: Outcome;
  /** The slowest answer of /health meanwhile, asked ten times a second on a connection of its own. */
  healthMs: number;
  /** The memory of the replica in MB, after the first seconds of the overload and at its end. */
  startMb: number;
  endMb: number;
}

const closedConnections = 256;
const openConnections = 2000;
const warmUpSeconds = 5;
/** As long as PostgreSQL takes to come to its own chores too, which a shorter time might miss, and the overload does not. */
const capacitySeconds = 30;

/** Overloads the replica at `port` for so long with POST /tasks, with an Idempotency-Key each or without. */
export async function overload(
  port: number,
  pid: number,
  seconds: number,
  keyed: boolean,
  say: (line: string) => void,
): Promise<Overload> {
  const request = requestOf(keyed);
  const generator = fork(new URL('load.js', import.meta.url));
  const play = async (load: Omit<Load, 'port' | 'request'>) => askFor(generator, { port, request, ...load });
  const capacity = async () => {
    say('How much it can answer …');
    const length = Math.min(seconds, capacitySeconds);
    const load = { rate: null, connections: closedConnections, warmUpSeconds: 1, seconds: length };
    return goodOf(await play(load));
  };
  try {
    const before = await capacity();
    const offered = 2 * before;
    say(`${before.toFixed(0)} a second. Asking for ${offered.toFixed(0)}, for ${seconds} s …`);
    const playing = play({ rate: offered, connections: openConnections, warmUpSeconds, seconds });
    await sleep(warmUpSeconds * 1000);
    const startMb = rssMbOf(pid);
    const healthMs = await watchHealth(port, playing);
    const [outcome, endMb] = [await playing, rssMbOf(pid)];
    // The tables have grown by then.
    const best = Math.max(before, await capacity());
    return { best, offered, outcome, healthMs, startMb, endMb };
  } finally {
    generator.kill('SIGKILL');
  }
}

export function goodOf({ perSecond }: Outcome): number {
  return Object.entries(perSecond).reduce((sum, [status, rate]) => sum + (status.startsWith('2') ? rate : 0), 0);
}

const body = JSON.stringify({ title: 'Overload', description: 'One of very many.' });

function requestOf(keyed: boolean): string {
  const key = keyed ? 'Idempotency-Key: overload-00000000\r\n' : '';
  return (
    `POST /tasks HTTP/1.1\r\nHost: localhost\r\n${key}Content-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

async function askFor(generator: ChildProcess, load: Load): Promise<Outcome> {
  generator.send(load);
  const [outcome] = (await once(generator, 'message')) as [Outcome];
  return outcome;
}

async function watchHealth(port: number, meanwhile: Promise<unknown>): Promise<number> {
  const over = new AbortController();
  void meanwhile.finally(() => {
    over.abort();
  });
  let most = 0;
  while (!over.signal.aborted) {
    const askedAt = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    await response.arrayBuffer();
    most = Math.max(most, response.ok ? performance.now() - askedAt : Infinity);
    await sleep(100);
  }
  return most;
}
