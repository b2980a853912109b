/** Twice as many requests as one replica can answer: what becomes of those that it answers, and of the others. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { rssMbOf } from '../memory.ts';
import type { Load, Outcome } from './load.ts';

export interface Overload {
  /** Requests a second: the best that were answered as fast as they were asked, and those asked for then. */
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
  try {
    say('How much it can answer …');
    const tries: number[] = [];
    for (let each = 0; each < 3; each++) {
      tries.push(goodOf(await play({ rate: null, connections: closedConnections, warmUpSeconds: 1, seconds: 5 })));
    }
    const best = Math.max(...tries);
    const rate = 2 * best;
    say(`At most ${best.toFixed(0)} a second. Asking for ${rate.toFixed(0)}, for ${seconds} s …`);
    const playing = play({ rate, connections: openConnections, warmUpSeconds, seconds });
    await sleep(warmUpSeconds * 1000);
    const startMb = rssMbOf(pid);
    const healthMs = await watchHealth(port, playing);
    return { best, offered: rate, outcome: await playing, healthMs, startMb, endMb: rssMbOf(pid) };
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
