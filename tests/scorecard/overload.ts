/** Twice as many requests as one replica can answer: what becomes of those that it answers, and of the others. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { rssMbOf } from '@task-manager/testing/memory';
import type { Load, Outcome } from './load.ts';

export interface Overload {
  rounds: Round[];
  /** The slowest answer of /health meanwhile, asked ten times a second on a connection of its own. */
  healthMs: number;
  /** The memory of the replica in MB, after the first seconds of the overload and at its end. */
  startMb: number;
  endMb: number;
}

export interface Round {
  /**
   * Requests a second that were answered as fast as they were asked: the mean of right before and right after. The machine
   * and the tables are not the same for long.
   */
  best: number;
  /** Requests a second asked for meanwhile: twice as many as were answered right before. */
  offered: number;
  outcome: Outcome;
}

const closedConnections = 256;
const openConnections = 2000;
const warmUpSeconds = 5;
/** For how long it is overloaded at a time, and asked before and after how much it can answer. */
const roundSeconds = 15;

/**
 * Overloads the replica at `port` with POST /tasks, with an Idempotency-Key each or without, for so many seconds in all, in
 * rounds. It is never left alone meanwhile: between them it is asked for as much as it can answer.
 */
export async function overload(
  { port, pid }: { port: number; pid: number },
  { seconds, keyed }: { seconds: number; keyed: boolean },
  say: (line: string) => void,
): Promise<Overload> {
  const request = requestOf(keyed);
  const generator = fork(new URL('load.js', import.meta.url));
  const play = async (load: Omit<Load, 'port' | 'request'>) => askFor(generator, { port, request, ...load });
  const capacity = async () => {
    const load = { rate: null, connections: closedConnections, warmUpSeconds: 1, seconds: roundSeconds };
    return goodOf(await play(load));
  };
  const rounds = Math.ceil(seconds / roundSeconds);
  const result: Overload = { rounds: [], healthMs: 0, startMb: 0, endMb: 0 };
  try {
    say('How much it can answer …');
    let before = await capacity();
    for (let round = 1; round <= rounds; round++) {
      const offered = 2 * before;
      say(`${before.toFixed(0)} a second. Asking for ${offered.toFixed(0)}, ${round} of ${rounds} …`);
      const playing = play({ rate: offered, connections: openConnections, warmUpSeconds, seconds: roundSeconds });
      await sleep(warmUpSeconds * 1000);
      result.startMb ||= rssMbOf(pid);
      result.healthMs = Math.max(result.healthMs, await watchHealth(port, playing));
      const outcome = await playing;
      result.endMb = rssMbOf(pid);
      const after = await capacity();
      result.rounds.push({ best: (before + after) / 2, offered, outcome });
      before = after;
    }
    return result;
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
