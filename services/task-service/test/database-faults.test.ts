/** A database that fails, hangs and comes back, and what the service makes of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Database } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import pg from 'pg';
import { openFaultProxy, type FaultProxy } from '@task-manager/testing/fault-proxy';
import { createDatabase } from '@task-manager/dev/embedded-postgres';
import { lookOn, newEnvironment } from '@task-manager/testing/harness';
import { OwnPostgres } from '@task-manager/testing/postgres';
import { freePort, runService, until, untilStatus, type Process } from '@task-manager/testing/processes';
import {
  ask,
  askAgain,
  askAll,
  everyKind,
  expectAnswered,
  expectNothingLost,
  isGood,
  isRefused,
  keepAsking,
  newRequest,
  type Outcome,
} from './clients.ts';
import { serveUsers } from './stub-users.ts';

let users: Awaited<ReturnType<typeof serveUsers>>;
/** A PostgreSQL that these tests may do everything to, and the database in it. */
let postgres: OwnPostgres;
let environment: Config;
/** What stands between the service and that PostgreSQL. */
let proxy: FaultProxy;
let service: Process;

beforeAll(async () => {
  [users, postgres] = await Promise.all([serveUsers(), OwnPostgres.start()]);
  environment = await newEnvironment('task-service', postgres.port);
  proxy = await openFaultProxy(postgres.port);
  service = await run();
  await untilStatus(200, `${service.url}/health`);
  // What is asked first compiles first.
  await askAll(service.url);
});
afterAll(async () => {
  await Promise.all(started.map(kill));
  await proxy.close();
  await postgres.remove();
  users.stop();
});

/** Every process, so that none outlives a test that failed. */
const started: Process[] = [];
async function run(overrides: Record<string, string | number> = {}): Promise<Process> {
  const given = { POSTGRES_PORT: proxy.port, USER_SERVICE_URL: users.url, VALIDATE_RESPONSES: 'true', ...overrides };
  const process = await runService('task-service', environment, given);
  started.push(process);
  return process;
}

async function kill({ child, exited }: Process): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

async function withOnlooker<Result>(look: (onlooker: pg.Client) => Promise<Result>): Promise<Result> {
  const onlooker = await lookOn(environment);
  return look(onlooker).finally(() => onlooker.end());
}

/** Does something while the table of the tasks is locked, so that whoever wants it waits. */
async function whileLocked<Result>(act: () => Promise<Result>): Promise<Result> {
  return withOnlooker(async (onlooker) => {
    await onlooker.query('begin; lock table task_service.tasks in access exclusive mode');
    return act().finally(() => onlooker.query('rollback'));
  });
}

/** All ten connections do something at the same time, and are idle after it. */
async function expectWholePool(): Promise<void> {
  await untilStatus(200, `${service.url}/health`);
  await untilGood();
  const deleting = await whileLocked(async () => {
    // Each is a statement by itself.
    const asked = Array.from({ length: 10 }, () => ask(service.url, newRequest('a DELETE')));
    let most = 0;
    await until(async () => (most = Math.max(most, await waitForLock())) >= 10, 2000).catch(() => {
      throw new Error(`${most} of 10 connections can be used`);
    });
    return asked;
  });
  expect((await Promise.all(deleting)).map(({ answer }) => answer.status)).toEqual(Array(10).fill(404));
  await until(async () => {
    const { used, idle, waiting } = await poolOf(service);
    return used === 0 && idle === 10 && waiting === 0;
  }, 2000);
}

async function waitForLock(): Promise<number> {
  const text = `select from pg_stat_activity where wait_event_type = 'Lock' and usename = 'task_service'`;
  return (await postgres.query(text)).length;
}

async function poolOf({ metricsUrl }: Process): Promise<Record<string, number>> {
  const metrics = await (await fetch(`${metricsUrl}/metrics`)).text();
  const states = metrics.matchAll(/^pg_pool_connections\{state="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...states].map(([, state = '', count]) => [state, Number(count)] as const));
}

/** But for one that who follows the users may have opened again. */
async function isDisconnected(): Promise<boolean> {
  return ((await poolOf(service)).idle ?? 0) <= 1;
}

async function untilGood(url = service.url): Promise<void> {
  await until(async () => (await Promise.all(everyKind.map((kind) => ask(url, newRequest(kind))))).every(isGood));
}

/** Looks at the health while something is done; it is answered at once, whatever the requests wait for. */
async function watchingHealth<Result>(act: () => Promise<Result>): Promise<Result> {
  const over = new AbortController();
  let slowestMs = 0;
  const watching = (async () => {
    while (!over.signal.aborted) {
      const startedAt = performance.now();
      await fetch(`${service.url}/health`);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      await sleep(20);
    }
  })();
  const result = await act().finally(() => {
    over.abort();
  });
  await watching;
  report('the health meanwhile', { 'slowest answer': slowestMs });
  // 100 ms on a machine that does nothing else. One that waits as requests do takes 800 ms or more.
  expect(slowestMs).toBeLessThan(500);
  return result;
}

const slowest = (outcomes: Outcome[]) => Math.max(...outcomes.map(({ ms }) => ms));

/** Figures for the scorecard, printed when they are asked for. */
function report(name: string, figures: Record<string, number>): void {
  const text = Object.entries(figures).map(([what, figure]) => `${what} ${figure.toFixed(0)} ms`);
  if (process.env.FIGURES) process.stdout.write(`${name}: ${text.join(', ')}\n`);
}

describe('a network to the database that', () => {
  const faults: [string, () => Promise<void> | void][] = [
    ['is slow', () => (proxy.latencyMs = 100)],
    ['is so slow that a statement has its answer just in time', () => (proxy.latencyMs = 400)],
    ['is too slow', () => (proxy.latencyMs = 1000)],
    [
      'loses everything',
      () => {
        proxy.blackhole();
      },
    ],
    [
      'resets each connection',
      () => {
        proxy.reset();
      },
    ],
    [
      'refuses each connection',
      () => {
        proxy.refuse();
      },
    ],
    ['ends each connection slowly', () => proxy.closeSlowly(200)],
  ];

  afterEach(() => {
    proxy.heal();
  });

  it.each(faults)('%s: every request is answered within 2 s, and all connections come back', async (name, begin) => {
    await expectWholePool();
    const outcomes = await watchingHealth(async () => {
      const begun = begin();
      const asked = [...(await askAll(service.url)), ...(await askAll(service.url))];
      await begun;
      return asked;
    });
    expectAnswered(outcomes);
    report(`a network that ${name}`, { 'slowest answer': slowest(outcomes) });
    proxy.heal();
    await withOnlooker((onlooker) => untilGood().then(() => expectNothingLost(service.url, onlooker, outcomes)));
    await expectWholePool();
  });

  it('resets idle connections: the next request has a good answer', async () => {
    await expectWholePool();
    proxy.reset();
    await until(isDisconnected);
    expect((await askAll(service.url, 1)).filter((outcome) => !isGood(outcome))).toEqual([]);
  });

  it('loses everything in the midst of a change lets go of what it holds soon', async () => {
    const { answer } = await ask(service.url, newRequest('a POST'));
    const change = `update task_service.tasks set title = 'by another' where id = '${String(answer.body.id)}'`;
    const db = new Database(
      { ...environment, POSTGRES_PORT: proxy.port },
      'task_service',
      createLogger('test', 'silent'),
    );
    db.isMigrated = true;
    const midway = db.transaction(async (transaction) => {
      await transaction.query({ text: change });
      proxy.blackhole();
      // The database does not hear that the replica has given up.
      await postgres.query(`set lock_timeout = '2500ms'; ${change}`, environment.POSTGRES_DB);
    });
    await expect(midway).rejects.toThrow('cannot be reached');
    proxy.heal();
    await db.end();
  });

  it('begins to lose everything when the service has no work: its health says so, and that it is over', async () => {
    proxy.blackhole();
    const health = await untilStatus(503, `${service.url}/health`, 3000);
    expect(await health.json()).toMatchObject({ detail: 'The database cannot be reached.' });
    expect((await fetch(`${service.url}/health/live`)).status).toBe(200);
    proxy.heal();
    await untilStatus(200, `${service.url}/health`, 3000);
  });
});

describe('an answer that the network loses', () => {
  // Each by the text of its statement, or by the name under which that is prepared.
  it.each([
    'find-idempotency-key',
    'begin',
    'claim-idempotency-key',
    'insert-tasks',
    'store-idempotency-key',
    'commit',
  ])(
    'to `%s` is a 503, and who sends the request again with its Idempotency-Key has done it once',
    async (statement) => {
      proxy.loseAnswerTo(statement);
      const request = newRequest('a POST with a key');
      const lost = await ask(service.url, request);
      expect([lost.answer.status, lost.answer.headers['retry-after']]).toEqual([503, '1']);
      const again = await askAgain(service.url, request);
      expect(again.answer.status).toBe(201);
      // Only then was it done already.
      expect(again.answer.headers['idempotent-replayed']).toBe(statement === 'commit' ? 'true' : undefined);
      await withOnlooker((onlooker) => expectNothingLost(service.url, onlooker, [lost, again]));
    },
  );

  it('to a statement that many share is a 503 for all of them, and it is not sent again', async () => {
    proxy.loseAnswerTo('insert-tasks');
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => ask(service.url, newRequest('a POST'))));
    expect(outcomes.some(isRefused)).toBe(true);
    expectAnswered(outcomes);
    await withOnlooker((onlooker) => expectNothingLost(service.url, onlooker, outcomes));
  });

  it('to `begin` costs the pool no connection', async () => {
    for (let time = 0; time < 12; time++) {
      proxy.loseAnswerTo('begin');
      expect((await ask(service.url, newRequest('a POST with a key'))).answer.status).toBe(503);
    }
    await expectWholePool();
  });
});

describe('a PostgreSQL that is', () => {
  const faults: [string, () => Promise<void>, () => Promise<void> | void][] = [
    ['stopped', () => postgres.end('SIGINT'), () => postgres.startAgain()],
    ['stopped at once', () => postgres.end('SIGQUIT'), () => postgres.startAgain()],
    ['killed', () => postgres.end('SIGKILL'), () => postgres.startAgain()],
    [
      'paused',
      () => postgres.pause(),
      () => {
        postgres.resume();
      },
    ],
  ];

  it.each(faults)(
    '%s under load: nothing acknowledged is lost, and it is served as it comes back',
    async (name, begin, end) => {
      const load = keepAsking(service.url);
      await sleep(200);
      const { acceptedAt } = await watchingHealth(async () => {
        await begin();
        await untilStatus(503, `${service.url}/health`, 3000);
        const accepting = postgres.accepts();
        await end();
        return { acceptedAt: await accepting };
      });
      await untilStatus(200, `${service.url}/health`, 3000);
      const outcomes = await load.stop();
      expectAnswered(outcomes);
      expect(outcomes.some(isRefused)).toBe(true);
      const back = outcomes.filter((outcome) => isGood(outcome) && outcome.endedAt > acceptedAt);
      const recoveryMs = Math.min(...back.map(({ endedAt }) => endedAt)) - acceptedAt;
      report(`a PostgreSQL that is ${name}`, {
        'slowest answer': slowest(outcomes),
        'first good answer after': recoveryMs,
      });
      // 100 ms on a machine that does nothing else.
      expect(recoveryMs).toBeLessThan(500);
      await withOnlooker((onlooker) => expectNothingLost(service.url, onlooker, outcomes));
      await expectWholePool();
    },
  );
});

describe('a database that', () => {
  afterEach(async () => {
    await expectWholePool();
  });

  it('has a table locked is a 503 within 2 s, and no reason not to be healthy', async () => {
    const outcomes = await watchingHealth(() =>
      whileLocked(async () => {
        const asked = await askAll(service.url);
        expect((await fetch(`${service.url}/health`)).status).toBe(200);
        return asked;
      }),
    );
    expectAnswered(outcomes);
    report('a table that is locked', { 'slowest answer': slowest(outcomes) });
    expect(outcomes.filter(({ kind }) => kind !== 'a feed').every(isRefused)).toBe(true);
  });

  it('only reads is read, and refuses every change with 503', async () => {
    await setReadOnly('on');
    const outcomes = await askAll(service.url);
    await setReadOnly('off');
    expectAnswered(outcomes);
    for (const { kind, answer } of outcomes) {
      if (/GET|list|feed/.test(kind)) expect([200, 404]).toContain(answer.status);
      if (/POST/.test(kind)) expect(answer.status).toBe(503);
    }
    await withOnlooker((onlooker) => expectNothingLost(service.url, onlooker, outcomes));
  });

  it('has no connection left is served by those that there are, or refuses with 503', async () => {
    await postgres.query(`alter role task_service connection limit 3`);
    await disconnect();
    await untilStatus(200, `${service.url}/health`);
    const outcomes = await watchingHealth(() => askAll(service.url));
    expectAnswered(outcomes);
    expect(outcomes.some(isRefused)).toBe(true);
    await postgres.query(`alter role task_service connection limit 0`);
    await disconnect();
    expectAnswered(await askAll(service.url));
    await postgres.query(`alter role task_service connection limit -1`);
  });

  it('has another password now refuses with 503 whoever connects, and is not healthy', async () => {
    await postgres.query(`alter role task_service password 'changed'`);
    await disconnect();
    const outcomes = await askAll(service.url);
    const health = await untilStatus(503, `${service.url}/health`);
    expect(await health.json()).toMatchObject({ detail: 'The database cannot be used. The log has the cause.' });
    await postgres.query(`alter role task_service password 'task_service'`);
    expectAnswered(outcomes);
    expect(outcomes.every(isRefused)).toBe(true);
  });

  it('was dropped is a 503, and one that is made anew has its tables again by itself', async () => {
    const { POSTGRES_DB: database } = environment;
    await postgres.query(`drop database ${database} with (force)`);
    const outcomes = await askAll(service.url);
    await untilStatus(503, `${service.url}/health`);
    expectAnswered(outcomes);
    expect(outcomes.every(isRefused)).toBe(true);
    await createDatabase(postgres, database, ['task-service']);
  });

  it('has undone a statement for the sake of another does it at the second time', async () => {
    for (const code of ['40001', '40P01']) {
      await failing(code, 1, async () => {
        expect((await ask(service.url, newRequest('a POST'))).answer.status).toBe(201);
      });
      // A transaction of several statements is for the client to begin again.
      await failing(code, 1, async () => {
        const first = await ask(service.url, newRequest('a POST with a key'));
        expectAnswered([first]);
        expect(first.answer.status).toBe(503);
        expect((await askAgain(service.url, first)).answer.status).toBe(201);
      });
      await failing(code, 2, async () => {
        const outcome = await ask(service.url, newRequest('a POST'));
        expectAnswered([outcome]);
        expect(outcome.answer.status).toBe(503);
      });
    }
  });

  /** No disk is filled here: a trigger says what PostgreSQL says when it cannot extend a file. */
  it('has no room left refuses every change with 503, and is read', async () => {
    await failing('53100', Infinity, async () => {
      const outcomes = await askAll(service.url);
      expectAnswered(outcomes);
      expect(outcomes.filter(({ kind }) => /POST/.test(kind)).every(isRefused)).toBe(true);
      expect(outcomes.filter(({ kind }) => /GET|list|feed/.test(kind)).every(isGood)).toBe(true);
    });
  });

  /** Changes how the server runs, and waits until it does. */
  async function setReadOnly(value: 'on' | 'off'): Promise<void> {
    await postgres.query(`alter system set default_transaction_read_only = ${value}`);
    await postgres.query('select pg_reload_conf()');
    const text = `select current_setting('default_transaction_read_only') as value`;
    await until(async () => (await postgres.query(text))[0]?.value === value);
  }

  /** Ends every connection of the service. */
  async function disconnect(): Promise<void> {
    await postgres.query(`select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = 'task_service'`);
    await until(isDisconnected);
  }

  /** The first so many changes to the tasks fail with this code. */
  async function failing(code: string, times: number, act: () => Promise<void>): Promise<void> {
    await withOnlooker(async (onlooker) => {
      await onlooker.query(`
        create sequence task_service.failures;
        grant all on task_service.failures to task_service;
        create function task_service.fail() returns trigger language plpgsql as $$
          begin
            -- A sequence counts on, whatever is undone.
            if nextval('task_service.failures') <= ${times === Infinity ? 1e9 : times} then
              raise 'failed' using errcode = '${code}';
            end if;
            return null;
          end $$;
        create trigger fail before insert or update or delete on task_service.tasks for each statement
          execute function task_service.fail()`);
      await act().finally(() =>
        onlooker.query('drop function task_service.fail cascade; drop sequence task_service.failures'),
      );
    });
  }
});

describe('a pooler before the database that', () => {
  it('refuses the parameters of the pool refuses those of the health too: it is not healthy', async () => {
    proxy.refuseParameter('statement_timeout');
    const refused = await run();
    await until(async () => {
      // Not before it listens.
      const health = await fetch(`${refused.url}/health`).catch(() => undefined);
      return (await health?.text())?.includes('The database cannot be used. The log has the cause.') ?? false;
    });
    await until(() => refused.output().includes('unsupported startup parameter'));
    expect((await ask(refused.url, newRequest('a GET'))).answer.status).toBe(503);
    proxy.heal();
    await untilStatus(200, `${refused.url}/health`);
    await kill(refused);
  });
});

describe('SIGKILL', () => {
  it('at any moment loses nothing that was acknowledged, and doubles nothing', async () => {
    const port = await freePort();
    let victim = await run({ PORT: port });
    await untilStatus(200, `${victim.url}/health`);
    const load = keepAsking(victim.url, 8);
    const kills = 4;
    for (let time = 0; time < kills; time++) {
      const before = load.created();
      await until(() => load.created() > before);
      await sleep(Math.random() * 200);
      await kill(victim);
      victim = await run({ PORT: port });
      await untilStatus(200, `${victim.url}/health`);
    }
    const outcomes = await load.stop();
    expect(
      outcomes.filter((outcome) => outcome.answer.status !== 0 && !isGood(outcome) && !isRefused(outcome)),
    ).toEqual([]);
    await withOnlooker((onlooker) => expectNothingLost(victim.url, onlooker, outcomes));
    await kill(victim);
  });
});
