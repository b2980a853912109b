/** The service while its database is slow, unreachable, failing or killed, and after the database recovers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Database } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import pg from 'pg';
import { openFaultProxy, type FaultProxy } from '@task-manager/testing/fault-proxy';
import { createDatabase } from '@task-manager/dev/embedded-postgres';
import { connectAsSuperuser, newEnvironment } from '@task-manager/testing/harness';
import { TestPostgres } from '@task-manager/testing/postgres';
import { freePort, spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { until } from '@task-manager/testing/until';
import {
  sendRequest,
  retryRequest,
  sendEveryKind,
  everyKind,
  expectServedOrUnavailable,
  expectExactlyOnce,
  isServed,
  isUnavailable,
  startLoad,
  newRequest,
  type Outcome,
} from './clients.ts';
import { serveUsers } from './stub-users.ts';

let users: Awaited<ReturnType<typeof serveUsers>>;
/** Separate from the PostgreSQL of the other tests, because these tests stop and kill it. */
let postgres: TestPostgres;
let environment: Config;
/** Between the service and PostgreSQL. */
let proxy: FaultProxy;
let service: ServiceProcess;

beforeAll(async () => {
  [users, postgres] = await Promise.all([serveUsers(), TestPostgres.start()]);
  environment = await newEnvironment('task-service', postgres.port);
  proxy = await openFaultProxy(postgres.port);
  service = await run();
  await untilStatus(200, `${service.url}/health`);
  // Warm up: the first request of each kind is slow.
  await sendEveryKind(service.url);
});
afterAll(async () => {
  await Promise.all(started.map(kill));
  await proxy.close();
  await postgres.remove();
  users.stop();
});

/** Every process, so that afterAll also kills the processes of a failed test. */
const started: ServiceProcess[] = [];
async function run(overrides: Record<string, string | number> = {}): Promise<ServiceProcess> {
  const variables = {
    POSTGRES_PORT: proxy.port,
    USER_SERVICE_URL: users.url,
    VALIDATE_RESPONSES: 'true',
    ...overrides,
  };
  const process = await spawnService('task-service', environment, variables);
  started.push(process);
  return process;
}

async function kill({ child, exited }: ServiceProcess): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

async function withAdmin<Result>(use: (admin: pg.Client) => Promise<Result>): Promise<Result> {
  const admin = await connectAsSuperuser(environment);
  return use(admin).finally(() => admin.end());
}

/** Runs `act` while the table of the tasks is locked, so that every statement on it waits. */
async function whileLocked<Result>(act: () => Promise<Result>): Promise<Result> {
  return withAdmin(async (admin) => {
    await admin.query('begin; lock table task_service.tasks in access exclusive mode');
    return act().finally(() => admin.query('rollback'));
  });
}

/** All ten connections of the pool can be used at the same time, and are idle afterwards. */
async function expectFullPool(): Promise<void> {
  await untilStatus(200, `${service.url}/health`);
  await untilAllServed();
  const deleting = await whileLocked(async () => {
    // A DELETE is never batched, so each request needs a connection.
    const sent = Array.from({ length: 10 }, () => sendRequest(service.url, newRequest('a DELETE')));
    let most = 0;
    await until(async () => (most = Math.max(most, await countLockWaits())) >= 10, { timeoutMs: 2000 }).catch(() => {
      throw new Error(`${most} of 10 connections can be used`);
    });
    return sent;
  });
  expect((await Promise.all(deleting)).map(({ response }) => response.status)).toEqual(Array(10).fill(404));
  await until(
    async () => {
      const { used, idle, waiting } = await poolOf(service);
      return used === 0 && idle === 10 && waiting === 0;
    },
    { timeoutMs: 2000 },
  );
}

async function countLockWaits(): Promise<number> {
  const text = `select from pg_stat_activity where wait_event_type = 'Lock' and usename = 'task_service'`;
  return (await postgres.query(text)).length;
}

async function poolOf({ metricsUrl }: ServiceProcess): Promise<Record<string, number>> {
  const metrics = await (await fetch(`${metricsUrl}/metrics`)).text();
  const states = metrics.matchAll(/^pg_pool_connections\{state="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...states].map(([, state = '', count]) => [state, Number(count)] as const));
}

/** One connection is allowed: following the user feed may have reconnected. */
async function isDisconnected(): Promise<boolean> {
  return ((await poolOf(service)).idle ?? 0) <= 1;
}

async function untilAllServed(url = service.url): Promise<void> {
  await until(async () =>
    (await Promise.all(everyKind.map((kind) => sendRequest(url, newRequest(kind))))).every(isServed),
  );
}

/** Runs `act` while probing /health, which must respond at once even when requests wait for the database. */
async function whileProbingHealth<Result>(act: () => Promise<Result>): Promise<Result> {
  const done = new AbortController();
  let slowestMs = 0;
  const probing = (async () => {
    while (!done.signal.aborted) {
      const startedAt = performance.now();
      await fetch(`${service.url}/health`);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      await sleep(20);
    }
  })();
  const result = await act().finally(() => {
    done.abort();
  });
  await probing;
  report('/health meanwhile', { 'slowest response': slowestMs });
  // 100 ms on an idle machine; 800 ms or more if /health queued for a connection as requests do.
  expect(slowestMs).toBeLessThan(500);
  return result;
}

const slowest = (outcomes: Outcome[]) => Math.max(...outcomes.map(({ ms }) => ms));

/** Prints figures for the scorecard when FIGURES is set. */
function report(name: string, figures: Record<string, number>): void {
  const text = Object.entries(figures).map(([label, figure]) => `${label} ${figure.toFixed(0)} ms`);
  if (process.env.FIGURES) process.stdout.write(`${name}: ${text.join(', ')}\n`);
}

describe('network faults', () => {
  const faults: [string, () => Promise<void> | void][] = [
    ['has a latency of 100 ms', () => (proxy.latencyMs = 100)],
    ['has a latency of 400 ms, just within the timeout', () => (proxy.latencyMs = 400)],
    ['has a latency of 1000 ms', () => (proxy.latencyMs = 1000)],
    [
      'drops every packet',
      () => {
        proxy.blackhole();
      },
    ],
    [
      'resets every connection',
      () => {
        proxy.reset();
      },
    ],
    [
      'refuses every connection',
      () => {
        proxy.refuse();
      },
    ],
    ['closes every connection slowly', () => proxy.closeSlowly(200)],
  ];

  afterEach(() => {
    proxy.heal();
  });

  it.each(faults)('responds within 2 s and recovers all connections when the network %s', async (name, begin) => {
    await expectFullPool();
    const outcomes = await whileProbingHealth(async () => {
      const begun = begin();
      const sent = [...(await sendEveryKind(service.url)), ...(await sendEveryKind(service.url))];
      await begun;
      return sent;
    });
    expectServedOrUnavailable(outcomes);
    report(`network ${name}`, { 'slowest response': slowest(outcomes) });
    proxy.heal();
    await withAdmin((admin) => untilAllServed().then(() => expectExactlyOnce(service.url, admin, outcomes)));
    await expectFullPool();
  });

  it('serves the next requests when idle connections were reset', async () => {
    await expectFullPool();
    proxy.reset();
    await until(isDisconnected);
    expect((await sendEveryKind(service.url, 1)).filter((outcome) => !isServed(outcome))).toEqual([]);
  });

  it('releases row locks within 2.5 s when the network drops packets during a transaction', async () => {
    const { response } = await sendRequest(service.url, newRequest('a POST'));
    const update = `update task_service.tasks set title = 'Buy bread' where id = '${String(response.body.id)}'`;
    const db = new Database(
      { ...environment, POSTGRES_PORT: proxy.port },
      'task_service',
      createLogger('test', 'silent'),
    );
    db.isMigrated = true;
    const interrupted = db.transaction(async (transaction) => {
      await transaction.query({ text: update });
      proxy.blackhole();
      // PostgreSQL does not receive the end of the connection, so only its own timeout releases the lock.
      await postgres.query(`set lock_timeout = '2500ms'; ${update}`, environment.POSTGRES_DB);
    });
    await expect(interrupted).rejects.toThrow('cannot be reached');
    proxy.heal();
    await db.end();
  });

  it('reports the outage and the recovery at /health when the service is idle', async () => {
    proxy.blackhole();
    const health = await untilStatus(503, `${service.url}/health`, 3000);
    expect(await health.json()).toMatchObject({ detail: 'The database cannot be reached.' });
    expect((await fetch(`${service.url}/health/live`)).status).toBe(200);
    proxy.heal();
    await untilStatus(200, `${service.url}/health`, 3000);
  });
});

describe('lost database responses', () => {
  // Each statement by its text, or by its name when it is prepared.
  it.each([
    'find-idempotency-key',
    'begin',
    'claim-idempotency-key',
    'insert-tasks',
    'store-idempotency-key',
    'commit',
  ])(
    'returns 503 and creates one task on a retry with the key when the response to `%s` is lost',
    async (statement) => {
      const lost = await sendLosing(statement);
      expect([lost.response.status, lost.response.headers['retry-after']]).toEqual([503, '1']);
      const retry = await retryRequest(service.url, lost);
      expect(retry.response.status).toBe(201);
      // Only a transaction that reached `commit` was applied the first time.
      expect(retry.response.headers['idempotent-replayed']).toBe(statement === 'commit' ? 'true' : undefined);
      await withAdmin((admin) => expectExactlyOnce(service.url, admin, [lost, retry]));
    },
  );

  it('returns 503 and does not repeat the statement when the response to a batch is lost', async () => {
    proxy.loseAnswerTo('insert-tasks');
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => sendRequest(service.url, newRequest('a POST'))),
    );
    expect(outcomes.some(isUnavailable)).toBe(true);
    expectServedOrUnavailable(outcomes);
    await withAdmin((admin) => expectExactlyOnce(service.url, admin, outcomes));
  });

  it('keeps every connection of the pool when the response to `begin` is lost', async () => {
    for (let round = 0; round < 12; round++) {
      expect((await sendLosing('begin')).response.status).toBe(503);
    }
    await expectFullPool();
  });

  /** A POST with a key that loses the response to a statement. Background work may send the statement first: then the next one. */
  async function sendLosing(statement: string): Promise<Outcome> {
    for (;;) {
      proxy.loseAnswerTo(statement);
      const outcome = await sendRequest(service.url, newRequest('a POST with a key'));
      if (!isServed(outcome)) return outcome;
    }
  }
});

describe('PostgreSQL outages', () => {
  const faults: [string, () => Promise<void>, () => Promise<void> | void][] = [
    ['stopped', () => postgres.stop('SIGINT'), () => postgres.restart()],
    ['stopped immediately', () => postgres.stop('SIGQUIT'), () => postgres.restart()],
    ['killed', () => postgres.stop('SIGKILL'), () => postgres.restart()],
    [
      'paused',
      () => postgres.pause(),
      () => {
        postgres.resume();
      },
    ],
  ];

  it.each(faults)(
    'loses no acknowledged write and recovers within 500 ms when PostgreSQL is %s under load',
    async (name, begin, end) => {
      const load = startLoad(service.url);
      await sleep(200);
      const { acceptedAt } = await whileProbingHealth(async () => {
        await begin();
        await untilStatus(503, `${service.url}/health`, 3000);
        const accepting = postgres.untilAccepting();
        await end();
        return { acceptedAt: await accepting };
      });
      await untilStatus(200, `${service.url}/health`, 3000);
      const outcomes = await load.stop();
      expectServedOrUnavailable(outcomes);
      expect(outcomes.some(isUnavailable)).toBe(true);
      const servedAgain = outcomes.filter((outcome) => isServed(outcome) && outcome.endedAt > acceptedAt);
      const recoveryMs = Math.min(...servedAgain.map(({ endedAt }) => endedAt)) - acceptedAt;
      report(`PostgreSQL ${name}`, {
        'slowest response': slowest(outcomes),
        'first success after': recoveryMs,
      });
      // 100 ms on an idle machine.
      expect(recoveryMs).toBeLessThan(500);
      await withAdmin((admin) => expectExactlyOnce(service.url, admin, outcomes));
      await expectFullPool();
    },
  );
});

describe('database failures', () => {
  afterEach(async () => {
    await expectFullPool();
  });

  it('serves on the open connections when the password of its role has changed', async () => {
    // After an outage, a statement that was abandoned is sent one at a time until it ends.
    await expectFullPool();
    // Concurrent requests then need more connections than are open.
    await disconnect();
    await untilStatus(200, `${service.url}/health`);
    expect(isServed(await sendRequest(service.url, newRequest('a GET')))).toBe(true);
    await postgres.query(`alter role task_service password 'changed'`);
    const outcomes = await sendEveryKind(service.url);
    await postgres.query(`alter role task_service password 'task_service'`);
    expect(outcomes.filter((outcome) => !isServed(outcome))).toEqual([]);
    // Then it opens new ones again.
    await until(async () => {
      await sendEveryKind(service.url);
      return (await poolOf(service)).idle === 10;
    });
  });

  it('returns 503 within 2 s and stays healthy when a table is locked', async () => {
    const outcomes = await whileProbingHealth(() =>
      whileLocked(async () => {
        const sent = await sendEveryKind(service.url);
        expect((await fetch(`${service.url}/health`)).status).toBe(200);
        return sent;
      }),
    );
    expectServedOrUnavailable(outcomes);
    report('locked table', { 'slowest response': slowest(outcomes) });
    expect(outcomes.filter(({ kind }) => kind !== 'a feed').every(isUnavailable)).toBe(true);
  });

  it('serves reads and returns 503 to writes when the database is read-only', async () => {
    await setReadOnly('on');
    const outcomes = await sendEveryKind(service.url);
    await setReadOnly('off');
    expectServedOrUnavailable(outcomes);
    for (const { kind, response } of outcomes) {
      if (/GET|list|feed/.test(kind)) expect([200, 404]).toContain(response.status);
      if (/POST/.test(kind)) expect(response.status).toBe(503);
    }
    await withAdmin((admin) => expectExactlyOnce(service.url, admin, outcomes));
  });

  it('serves with the connections that remain or returns 503 when the role reaches its connection limit', async () => {
    await postgres.query(`alter role task_service connection limit 3`);
    await disconnect();
    await untilStatus(200, `${service.url}/health`);
    const outcomes = await whileProbingHealth(() => sendEveryKind(service.url));
    expectServedOrUnavailable(outcomes);
    expect(outcomes.some(isUnavailable)).toBe(true);
    await postgres.query(`alter role task_service connection limit 0`);
    await disconnect();
    const rejected = await sendEveryKind(service.url);
    expectServedOrUnavailable(rejected);
    expect(rejected.map(({ response }) => response.body.detail)).toContain('No connection to the database is free.');
    await postgres.query(`alter role task_service connection limit -1`);
  });

  it('returns 503 and reports unhealthy when the password has changed', async () => {
    await postgres.query(`alter role task_service password 'changed'`);
    await disconnect();
    const outcomes = await sendEveryKind(service.url);
    // At first the reason is the lost connection.
    await until(async () => {
      const health = await untilStatus(503, `${service.url}/health`);
      return ((await health.json()) as { detail: string }).detail.includes('cannot be used');
    }).finally(() => postgres.query(`alter role task_service password 'task_service'`));
    expectServedOrUnavailable(outcomes);
    expect(outcomes.every(isUnavailable)).toBe(true);
  });

  it('returns 503 and migrates the new database when the database is dropped and recreated', async () => {
    const { POSTGRES_DB: database } = environment;
    await postgres.query(`drop database ${database} with (force)`);
    const outcomes = await sendEveryKind(service.url);
    await untilStatus(503, `${service.url}/health`);
    expectServedOrUnavailable(outcomes);
    expect(outcomes.every(isUnavailable)).toBe(true);
    await createDatabase(postgres, database, ['task-service']);
  });

  it('retries a single statement once when PostgreSQL aborts it for a serialization failure or deadlock', async () => {
    for (const code of ['40001', '40P01']) {
      await whileFailing(code, 1, async () => {
        expect((await sendRequest(service.url, newRequest('a POST'))).response.status).toBe(201);
      });
      // The client retries a transaction of several statements.
      await whileFailing(code, 1, async () => {
        const first = await sendRequest(service.url, newRequest('a POST with a key'));
        expectServedOrUnavailable([first]);
        expect(first.response.status).toBe(503);
        expect((await retryRequest(service.url, first)).response.status).toBe(201);
      });
      await whileFailing(code, 2, async () => {
        const outcome = await sendRequest(service.url, newRequest('a POST'));
        expectServedOrUnavailable([outcome]);
        expect(outcome.response.status).toBe(503);
      });
    }
  });

  /** A trigger raises the error of a full disk (53100), because the test cannot fill one. */
  it('serves reads and returns 503 to writes when the disk is full', async () => {
    await whileFailing('53100', Infinity, async () => {
      const outcomes = await sendEveryKind(service.url);
      expectServedOrUnavailable(outcomes);
      expect(outcomes.filter(({ kind }) => /POST/.test(kind)).every(isUnavailable)).toBe(true);
      expect(outcomes.filter(({ kind }) => /GET|list|feed/.test(kind)).every(isServed)).toBe(true);
    });
  });

  /** Returns when the setting is in effect. */
  async function setReadOnly(value: 'on' | 'off'): Promise<void> {
    await postgres.query(`alter system set default_transaction_read_only = ${value}`);
    await postgres.query('select pg_reload_conf()');
    const text = `select current_setting('default_transaction_read_only') as value`;
    await until(async () => (await postgres.query(text))[0]?.value === value);
  }

  /** Terminates every connection of the service. */
  async function disconnect(): Promise<void> {
    const sessions = `from pg_stat_activity where usename = 'task_service'`;
    const ended = await postgres.query(`select pid, pg_terminate_backend(pid) ${sessions}`);
    const pids = ended.map(({ pid }) => Number(pid));
    await until(
      async () => (await postgres.query(`select ${sessions} and pid = any ('{${pids.join()}}')`)).length === 0,
    );
    await until(isDisconnected);
  }

  /** Runs `act` while the first `times` writes to the tasks fail with this code. */
  async function whileFailing(code: string, times: number, act: () => Promise<void>): Promise<void> {
    await withAdmin(async (admin) => {
      await admin.query(`
        create sequence task_service.failures;
        grant all on task_service.failures to task_service;
        create function task_service.fail() returns trigger language plpgsql as $$
          begin
            -- A rollback does not reset a sequence.
            if nextval('task_service.failures') <= ${times === Infinity ? 1e9 : times} then
              raise 'failed' using errcode = '${code}';
            end if;
            return null;
          end $$;
        create trigger fail before insert or update or delete on task_service.tasks for each statement
          execute function task_service.fail()`);
      await act().finally(() =>
        admin.query('drop function task_service.fail cascade; drop sequence task_service.failures'),
      );
    });
  }
});

describe('SIGKILL', () => {
  it('neither loses nor duplicates an acknowledged write when the process is killed under load', async () => {
    const port = await freePort();
    let victim = await run({ PORT: port });
    await untilStatus(200, `${victim.url}/health`);
    const load = startLoad(victim.url, 8);
    const kills = 4;
    for (let round = 0; round < kills; round++) {
      const before = load.created();
      await until(() => load.created() > before);
      await sleep(Math.random() * 200);
      await kill(victim);
      victim = await run({ PORT: port });
      await untilStatus(200, `${victim.url}/health`);
    }
    const outcomes = await load.stop();
    expect(
      outcomes.filter((outcome) => outcome.response.status !== 0 && !isServed(outcome) && !isUnavailable(outcome)),
    ).toEqual([]);
    await withAdmin((admin) => expectExactlyOnce(victim.url, admin, outcomes));
    await kill(victim);
  });
});
