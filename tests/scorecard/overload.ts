/** Twice the load that one replica can serve: how many requests it still serves, and how it rejects the others. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { rssMbOf } from '@task-manager/testing/memory';
import type { Job, Outcome } from './overload-generator.ts';

export interface Overload {
  rounds: Round[];
  /** The slowest response of /health under overload, on a connection of its own. */
  healthMs: number;
  /** Memory of the replica, after the first seconds of overload and at its end. */
  startMb: number;
  endMb: number;
}

export interface Round {
  /** Requests per second in a closed loop: the mean of before and after, because the machine does not stay the same. */
  capacity: number;
  /** Requests per second of the overload. */
  offered: number;
  outcome: Outcome;
}

const warmUpSeconds = 5;
const roundSeconds = 15;

/** Between its rounds the capacity is measured, so the replica is never idle. */
export async function overload(
  { port, pid }: { port: number; pid: number },
  { seconds, keyed }: { seconds: number; keyed: boolean },
  print: (line: string) => void,
): Promise<Overload> {
  const generator = fork(new URL('overload-generator.js', import.meta.url));
  const play = async (job: Omit<Job, 'port' | 'keyed' | 'seconds'>) => {
    generator.send({ ...job, port, keyed, seconds: roundSeconds } satisfies Job);
    const [outcome] = (await once(generator, 'message')) as [Outcome];
    return outcome;
  };
  const measureCapacity = async () => {
    return (await play({ rate: null, connections: 256, warmUpSeconds: 1 })).goodPerSecond;
  };
  const result: Overload = { rounds: [], healthMs: 0, startMb: 0, endMb: 0 };
  const count = Math.ceil(seconds / roundSeconds);
  try {
    print('Measuring the capacity …');
    let before = await measureCapacity();
    for (let round = 1; round <= count; round++) {
      const offered = 2 * before;
      print(`Capacity ${before.toFixed(0)}/s. Sending ${offered.toFixed(0)}/s, round ${round} of ${count} …`);
      const playing = play({ rate: offered, connections: 2000, warmUpSeconds });
      await sleep(warmUpSeconds * 1000);
      result.startMb ||= rssMbOf(pid);
      result.healthMs = Math.max(result.healthMs, await watchHealth(port, playing));
      const outcome = await playing;
      result.endMb = rssMbOf(pid);
      const after = await measureCapacity();
      result.rounds.push({ capacity: (before + after) / 2, offered, outcome });
      before = after;
    }
    return result;
  } finally {
    generator.kill('SIGKILL');
  }
}

/** Requests /health ten times per second. Resolves with the slowest response; Infinity when one failed. */
async function watchHealth(port: number, meanwhile: Promise<unknown>): Promise<number> {
  const over = new AbortController();
  void meanwhile.finally(() => {
    over.abort();
  });
  let slowestMs = 0;
  while (!over.signal.aborted) {
    const startedAt = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    await response.arrayBuffer();
    slowestMs = Math.max(slowestMs, response.ok ? performance.now() - startedAt : Infinity);
    await sleep(100);
  }
  return slowestMs;
}
