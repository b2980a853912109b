/** What a database does that fails, and what replicas do that are stopped or killed, while requests come in. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage, StagedReplica } from '../chaos/system-under-test.ts';

export interface Faults {
  faults: number;
  acknowledged: number;
  /** Tasks that were acknowledged and are not there, and that are there more than once. */
  lost: number;
  doubled: number;
  /** Answers that were neither good nor 503 with Retry-After and a problem. */
  wrong: string[];
  slowestMs: number;
  slowestIn: string;
  /** From when PostgreSQL let somebody in again to the first task that was stored, the longest. */
  recoveryMs: number;
}

const writers = 8;
const strikeMs = 3000;

/** Strikes the stage in every way, one after the other, while tasks are created and lists are read. */
export async function strike(stage: Stage, signal: AbortSignal, say: (line: string) => void): Promise<Faults> {
  const replicas = stage.replicas.filter(({ service }) => service === 'task-service');
  const traffic = new Traffic(replicas);
  const clients = traffic.run(writers);
  let recoveryMs = 0;
  const faults = faultsOf(stage, replicas);
  for (const [name, fault] of Object.entries(faults)) {
    say(name);
    traffic.fault = name;
    const end = await fault();
    await sleep(strikeMs);
    await end();
    await stage.recover(signal);
    traffic.fault = '';
  }
  for (const name of ['PostgreSQL is stopped', 'PostgreSQL is killed']) {
    say(name);
    traffic.fault = name;
    await stage.endPostgres(name.endsWith('killed') ? 'SIGKILL' : 'SIGQUIT');
    await sleep(strikeMs);
    const measured = measureRecovery(stage, replicas);
    await stage.startPostgresAgain();
    recoveryMs = Math.max(recoveryMs, await measured);
    await stage.recover(signal);
    traffic.fault = '';
  }
  traffic.stop();
  await clients;
  const { slowestMs, slowestIn, wrong } = traffic;
  const { lost, doubled } = await compare(stage, traffic.acknowledged);
  const count = Object.keys(faults).length + 2;
  return {
    faults: count,
    acknowledged: traffic.acknowledged.length,
    lost,
    doubled,
    wrong,
    slowestMs,
    slowestIn,
    recoveryMs,
  };
}

type Fault = () => Promise<() => Promise<void> | void>;

function faultsOf(stage: Stage, replicas: StagedReplica[]): Record<string, Fault> {
  const proxies = replicas.map(({ proxy }) => proxy);
  const heal = () => {
    for (const proxy of proxies) proxy.heal();
  };
  const atProxies = (strike: (proxy: (typeof proxies)[number]) => void): Fault => {
    return async () => {
      proxies.forEach(strike);
      return heal;
    };
  };
  return {
    'every byte to and from PostgreSQL is lost': atProxies((proxy) => {
      proxy.blackhole();
    }),
    'connections to PostgreSQL are refused': atProxies((proxy) => {
      proxy.refuse();
    }),
    'connections to PostgreSQL are reset': atProxies((proxy) => {
      proxy.reset();
    }),
    'everything takes 300 ms longer': atProxies((proxy) => (proxy.latencyMs = 300)),
    'the answer to a commit is lost': atProxies((proxy) => {
      proxy.loseAnswerTo('commit');
    }),
    'the table is locked': async () => {
      const locked = stage.query(
        'begin',
        'lock table task_service.tasks in access exclusive mode',
        `select pg_sleep(${strikeMs / 1000})`,
      );
      return async () => {
        await locked;
      };
    },
    'every connection is terminated': async () => {
      await stage.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename in ('task_service', 'user_service')`,
      );
      return () => undefined;
    },
    'a process of PostgreSQL is killed': async () => {
      await stage.killBackend();
      return () => stage.startPostgresAgain();
    },
    'a replica is killed': async () => {
      const [first] = replicas;
      await first?.end('SIGKILL');
      return () => first?.startAgain();
    },
  };
}

/** Clients at the replicas themselves, who send again what was not acknowledged, with the same key. */
class Traffic {
  fault = '';
  readonly acknowledged: string[] = [];
  readonly wrong: string[] = [];
  slowestMs = 0;
  slowestIn = '';
  readonly #replicas: StagedReplica[];
  #stopped = false;
  #turn = 0;

  constructor(replicas: StagedReplica[]) {
    this.#replicas = replicas;
  }

  async run(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, number) => (number % 2 === 0 ? this.#write() : this.#read())));
  }

  stop(): void {
    this.#stopped = true;
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      const title = `scorecard ${randomUUID()}`;
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() };
      // What was begun is sent until it is acknowledged.
      while ((await this.#ask('/tasks', { method: 'POST', headers, body: JSON.stringify({ title }) })) !== 201);
      this.acknowledged.push(title);
    }
  }

  async #read(): Promise<void> {
    while (!this.#stopped) await this.#ask('/tasks?limit=5', {});
  }

  async #ask(path: string, init: RequestInit): Promise<number> {
    const replica = this.#replicas[this.#turn++ % this.#replicas.length];
    const askedAt = performance.now();
    const fault = this.fault;
    try {
      const response = await fetch(`${replica?.url}${path}`, init);
      await response.arrayBuffer();
      const timeMs = performance.now() - askedAt;
      if (timeMs > this.slowestMs) [this.slowestMs, this.slowestIn] = [timeMs, fault];
      const { status, headers } = response;
      const isProblem = headers.get('content-type')?.startsWith('application/problem+json');
      // 409 says that the same request, sent before, is still being worked on.
      const isRight = status < 300 || (isProblem && (status === 409 || (status === 503 && headers.has('retry-after'))));
      if (!isRight) this.wrong.push(`${status} while ${fault}`);
      if (status >= 400) await sleep(20);
      return status;
    } catch {
      // The replica was killed.
      await sleep(50);
      return 0;
    }
  }
}

async function measureRecovery(stage: Stage, replicas: StagedReplica[]): Promise<number> {
  while (!(await letsIn(stage))) await sleep(5);
  const acceptedAt = performance.now();
  const times = replicas.map(async ({ url }) => {
    const headers = { 'Content-Type': 'application/json' };
    for (;;) {
      const response = await fetch(`${url}/tasks`, { method: 'POST', headers, body: '{"title":"recovered"}' });
      await response.arrayBuffer();
      if (response.status === 201) return performance.now() - acceptedAt;
      await sleep(5);
    }
  });
  return Math.max(...(await Promise.all(times)));
}

async function letsIn(stage: Stage): Promise<boolean> {
  return stage.query('select').then(
    () => true,
    () => false,
  );
}

async function compare(stage: Stage, acknowledged: string[]): Promise<{ lost: number; doubled: number }> {
  const rows = await stage.query<{ title: string; count: number }>(
    `select title, count(*)::int as count from task_service.tasks where title like 'scorecard %' group by title`,
  );
  const counts = new Map(rows.map(({ title, count }) => [title, count]));
  return {
    lost: acknowledged.filter((title) => !counts.has(title)).length,
    doubled: rows.filter(({ count }) => count > 1).length,
  };
}
