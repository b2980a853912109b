/** Twice the load that one replica can serve: how many requests it still serves, and how it rejects the others. */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkHealth } from '@task-manager/dev/gateway';
import { commandOf } from '@task-manager/dev/system';
import { rssMbOf } from '@task-manager/testing/memory';
import { mean, sum } from '@task-manager/testing/statistics';
import type { SystemUnderTest } from '@task-manager/testing/system-under-test';
import { until } from '@task-manager/testing/until';
import getPort from 'get-port';
import { countOf, type Figure } from './figures.ts';
import type { Job, Outcome } from './overload-generator.ts';

type Print = (line: string) => void;

interface Round {
  /** Requests per second in a closed loop: the mean of before and after, because the machine does not stay the same. */
  capacity: number;
  /** Requests per second of the overload. */
  offered: number;
  outcome: Outcome;
}

const warmUpSeconds = 5;
const roundSeconds = 15;

const unkeyedSeconds = 15;

/** On a replica as it is deployed: those of the system validate every response. */
export async function measureOverload(system: SystemUnderTest, seconds: number, print: Print): Promise<Figure[]> {
  const [port, metricsPort] = [await getPort(), await getPort()];
  const child = spawn(process.execPath, commandOf('task-service'), {
    env: {
      ...{ ...system.environmentOf('task-service'), PATH: process.env.PATH },
      ...{ PORT: String(port), METRICS_PORT: String(metricsPort) },
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await until(async () => (await checkHealth(port)) === 'ready');
    const replica = { port, pid: child.pid ?? 0 };
    print('Overload, each request with an idempotency key …');
    const { rounds, healthMs, startMb, endMb } = await overload(replica, { seconds, keyed: true }, print);
    print('Overload without keys …');
    const unkeyed = await overload(replica, { seconds: unkeyedSeconds, keyed: false }, print);
    const outcomes = rounds.map(({ outcome }) => outcome);
    const statuses = outcomes.flatMap(({ perSecond }) => Object.keys(perSecond));
    const slowestMs = Math.max(...outcomes.map(({ rejectedMs }) => rejectedMs.max));
    const withoutRetryAfter = sum(outcomes.map(({ rejectedWithoutRetryAfter }) => rejectedWithoutRetryAfter));
    const growth = (endMb / startMb - 1) * 100;
    return [
      {
        ...{ name: 'Goodput at twice the capacity', measured: mean(rounds.map(goodput)), min: 90, unit: '%' },
        details: [`with idempotency keys: ${describe(rounds)}`, `without: ${describe(unkeyed.rounds)}`],
      },
      { name: 'Slowest rejection', measured: slowestMs, max: 50, unit: 'ms' },
      { name: 'rejections without Retry-After', measured: withoutRetryAfter, max: 0 },
      countOf(
        'responses other than 201 or a rejection',
        statuses.filter((status) => !['201', '503'].includes(status)),
      ),
      { name: 'Slowest /health under overload', measured: healthMs, max: 100, unit: 'ms' },
      {
        ...{ name: `Memory growth in ${seconds} s of overload`, measured: growth, max: 20, unit: '%' },
        details: [`${startMb.toFixed(0)} MB to ${endMb.toFixed(0)} MB`],
      },
    ];
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** Between its rounds the capacity is measured, so the replica is never idle. */
async function overload(
  { port, pid }: { port: number; pid: number },
  { seconds, keyed }: { seconds: number; keyed: boolean },
  print: Print,
) {
  const generator = fork(new URL('overload-generator.js', import.meta.url));
  const play = async (job: Omit<Job, 'port' | 'keyed' | 'seconds'>) => {
    generator.send({ ...job, port, keyed, seconds: roundSeconds } satisfies Job);
    const [outcome] = (await once(generator, 'message')) as [Outcome];
    return outcome;
  };
  const measureCapacity = async () => {
    return (await play({ rate: null, connections: 256, warmUpSeconds: 1 })).goodPerSecond;
  };
  const rounds: Round[] = [];
  let [healthMs, startMb, endMb] = [0, 0, 0];
  const count = Math.ceil(seconds / roundSeconds);
  try {
    print('Measuring the capacity …');
    let before = await measureCapacity();
    for (let round = 1; round <= count; round++) {
      const offered = 2 * before;
      print(`Capacity ${before.toFixed(0)}/s. Sending ${offered.toFixed(0)}/s, round ${round} of ${count} …`);
      const playing = play({ rate: offered, connections: 2000, warmUpSeconds });
      await sleep(warmUpSeconds * 1000);
      startMb ||= rssMbOf(pid);
      healthMs = Math.max(healthMs, await watchHealth(port, playing));
      const outcome = await playing;
      endMb = rssMbOf(pid);
      const after = await measureCapacity();
      rounds.push({ capacity: (before + after) / 2, offered, outcome });
      before = after;
    }
    return { rounds, healthMs, startMb, endMb };
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

/** In percent of the capacity. */
function goodput({ outcome, capacity }: Round): number {
  return (outcome.goodPerSecond / capacity) * 100;
}

function describe(rounds: Round[]): string {
  const meanOf = (of: (round: Round) => number) => mean(rounds.map(of)).toFixed(0);
  const maxOf = (of: (outcome: Outcome) => number) => Math.max(...rounds.map(({ outcome }) => of(outcome))).toFixed(0);
  return [
    `${meanOf(({ outcome }) => outcome.goodPerSecond)} of ${meanOf(({ offered }) => offered)} requests/s served`,
    `capacity ${meanOf(({ capacity }) => capacity)}/s`,
    `served p50 ${meanOf(({ outcome }) => outcome.goodMs.p50)} ms, p99 at most ${maxOf(({ goodMs }) => goodMs.p99)} ms`,
    `rejected p99 at most ${maxOf(({ rejectedMs }) => rejectedMs.p99)} ms`,
    `at most ${maxOf(({ unsent }) => unsent)} not sent`,
    `by round ${rounds.map((round) => goodput(round).toFixed(0)).join(' ')} %`,
  ].join('; ');
}
