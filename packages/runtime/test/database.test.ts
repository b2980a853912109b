/** Proves how the pool, statements, transactions and sessions behave when PostgreSQL fails or is slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  connectionOf,
  Database,
  DatabaseUnavailable,
  sqlState,
  withTimeout,
} from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { overloaded } from '@task-manager/runtime/errors';
import type pg from 'pg';
import { dropDatabase, captureLog, connectAsSuperuser, newEnvironment } from '@task-manager/testing/harness';
import { until } from '@task-manager/testing/until';

let environment: Config;
let db: Database;
/** Reads and changes the database outside the pool. */
let superuser: pg.Client;
const { logger, lines } = captureLog();

beforeAll(async () => {
  environment = await newEnvironment('task-service');
  db = new Database(environment, 'task_service', logger);
  db.isMigrated = true;
  superuser = await connectAsSuperuser(environment);
  await superuser.query(`
    set role task_service;
    create table task_service.numbers (number int check (number > 0));
    create sequence task_service.tries;
    -- Fails with this code the first times: a sequence survives the rollback.
    create function task_service.fail(code text, times int) returns int language plpgsql as $$ begin
      if nextval('task_service.tries') <= times then raise exception 'on purpose' using errcode = code; end if;
      return times;
    end $$;
    reset role`);
});
afterAll(async () => {
  await superuser.end();
  await dropDatabase(environment);
  await db.end();
});
afterEach(async () => {
  await superuser.query(`alter sequence task_service.tries restart; truncate task_service.numbers`);
  // No test may leak a connection of the pool.
  const clients = await Promise.all(Array.from({ length: 10 }, () => db.pool.connect()));
  expect(db.pool.totalCount).toBe(10);
  for (const client of clients) client.release();
});

const failing = (code: string, times = 1) => ({ text: `select task_service.fail('${code}', ${times}) as times` });
const insert = (number: number) => ({ text: 'insert into task_service.numbers values ($1)', values: [number] });
const pid = { text: 'select pg_backend_pid() as pid' };

async function stored(): Promise<number[]> {
  const { rows } = await superuser.query<{ number: number }>('select number from task_service.numbers order by 1');
  return rows.map(({ number }) => number);
}

async function isOpen(process: number): Promise<boolean> {
  return (await superuser.query('select from pg_stat_activity where pid = $1', [process])).rowCount === 1;
}

describe('database connection', () => {
  it('rejects queries before the migrations have run', async () => {
    const fresh = new Database(environment, 'task_service', captureLog().logger);
    const rejected = fresh.query(pid);
    await expect(rejected).rejects.toThrow(DatabaseUnavailable);
    await expect(rejected).rejects.toThrow('The database is not ready yet.');
    expect(fresh.pool.totalCount).toBe(0);
    fresh.isMigrated = true;
    expect(await fresh.query(pid)).toEqual([{ pid: expect.any(Number) }]);
    await fresh.end();
  });

  it('follows the config', () => {
    const ssl = (POSTGRES_SSLMODE: Config['POSTGRES_SSLMODE']) =>
      connectionOf({ ...environment, POSTGRES_SSLMODE }).ssl;
    expect(ssl('disable')).toBe(false);
    expect(ssl('require')).toEqual({ rejectUnauthorized: false });
    expect(ssl('verify-full')).toEqual({ rejectUnauthorized: true });
    expect(connectionOf(environment)).toMatchObject({ connectionTimeoutMillis: 900, keepAlive: true });
  });

  it('has timeouts on the server for statements and idle transactions', async () => {
    const text = `select current_setting('statement_timeout') as statement,
      current_setting('idle_in_transaction_session_timeout') as idle`;
    expect(await db.query({ text })).toEqual([{ statement: '800ms', idle: '2s' }]);
    const slow: unknown = await db.query({ text: 'select pg_sleep(2)' }).catch((reason: unknown) => reason);
    expect(slow).toMatchObject({ constructor: DatabaseUnavailable, cause: { code: '57014' } });
  });

  it.each([
    ['default_transaction_isolation', 'repeatable read', 'read committed'],
    ['default_transaction_isolation', 'serializable', 'read committed'],
    ['synchronous_commit', 'off', 'on'],
    ['synchronous_commit', 'remote_apply', 'remote_apply'],
    ['DateStyle', 'SQL, DMY', 'ISO, DMY'],
    ['DateStyle', 'German', 'ISO, DMY'],
    ['IntervalStyle', 'iso_8601', 'postgres'],
    ['TimeZone', 'Asia/Kathmandu', 'UTC'],
    ['bytea_output', 'escape', 'hex'],
    ['extra_float_digits', '-15', '1'],
    ['standard_conforming_strings', 'off', 'on'],
    ['array_nulls', 'off', 'on'],
    ['transform_null_equals', 'on', 'off'],
    ['gin_fuzzy_search_limit', '1', '0'],
    ['exit_on_error', 'on', 'off'],
    ['search_path', 'public, pg_catalog', ''],
    ['plan_cache_mode', 'force_generic_plan', 'auto'],
    ['statement_timeout', '1min', '800ms'],
    ['idle_in_transaction_session_timeout', '0', '2s'],
    ['lock_timeout', '1ms', '0'],
    ['transaction_timeout', '1min', '0'],
    ['idle_session_timeout', '1min', '0'],
    ['client_encoding', 'LATIN1', 'UTF8'],
  ])('has its own %s when the database sets %s', async (name, value, expected) => {
    const database = environment.POSTGRES_DB;
    await superuser.query(`alter database ${database} set ${name} = ${name === 'search_path' ? value : `'${value}'`}`);
    const fresh = new Database(environment, 'task_service', logger);
    fresh.isMigrated = true;
    const setting = (await fresh.query({ text: 'select current_setting($1) as value', values: [name] }))[0];
    await fresh.end();
    await superuser.query(`alter database ${database} reset ${name}`);
    expect(setting).toEqual({ value: expected });
  });

  it.each(['SQL, DMY', 'German', 'Postgres'])('throws the cause for times and dates in the style %s', async (style) => {
    for (const value of ['now()', 'current_date']) {
      // Without the setting of the connection: it takes effect before the row is sent.
      const text = `select set_config('DateStyle', '${style}', true), ${value} as value`;
      const error: unknown = await db.query({ text }).catch((reason: unknown) => reason);
      expect(error).not.toBeInstanceOf(DatabaseUnavailable);
      expect(error).toMatchObject({ message: expect.stringMatching(/^".+" is not a time in ISO format/) });
    }
  });

  it('throws the cause when a parameter cannot be sent', async () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const error: unknown = await db.query({ text: 'select $1::json', values: [circular] }).catch((e: unknown) => e);
    expect(error).toMatchObject({ message: expect.stringContaining('circular') });
    expect(error).not.toBeInstanceOf(DatabaseUnavailable);
  });

  it.each(['UTC', 'Asia/Tokyo'])('returns dates unchanged and times in UTC when the time zone is %s', async (zone) => {
    const text = `select '2026-02-28'::date as day, '2026-02-28 12:00:00.123456+02'::timestamptz as fine,
      '2026-02-28 12:00:00.12+02'::timestamptz as short, '2026-02-28 12:00:00.123+00'::timestamptz as usual,
      null::timestamptz as none`;
    const rows = db.transaction(async (transaction) => {
      await transaction.query({ text: `set local time zone '${zone}'` });
      return transaction.query({ text });
    });
    expect(await rows).toEqual([
      {
        day: '2026-02-28',
        fine: '2026-02-28T10:00:00.123Z',
        short: '2026-02-28T10:00:00.120Z',
        usual: '2026-02-28T12:00:00.123Z',
        none: null,
      },
    ]);
  });
});

describe('connection pool', () => {
  it('replaces an idle connection when the server closes it', async () => {
    const [row] = await db.query<{ pid: number }>(pid);
    await superuser.query('select pg_terminate_backend($1)', [row?.pid]);
    await until(() => lines.some(({ msg, err }) => msg === 'an idle connection was lost' && err !== undefined));
    expect(await db.query(pid)).not.toEqual([row]);
  });
});

describe('SQLSTATE', () => {
  it.each(['08006', '53100', '53200', '57014', '57P01', '25006', '25P03', '25P04', '55P03', '26000', '42P05'])(
    '%s becomes DatabaseUnavailable',
    async (code) => {
      const error: unknown = await db.query(failing(code)).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(DatabaseUnavailable);
      expect(error).toMatchObject({ message: 'The database cannot be reached.', cause: { code } });
      expect(sqlState(error)).toBeUndefined();
    },
  );

  it.each(['22003', '22008', '23505', '42P01', '25001'])('%s is passed on unchanged', async (code) => {
    const error: unknown = await db.query(failing(code)).catch((reason: unknown) => reason);
    expect(error).not.toBeInstanceOf(DatabaseUnavailable);
    expect(sqlState(error)).toBe(code);
  });

  it.each(['40001', '40P01'])('%s is retried once outside a transaction', async (code) => {
    expect(await db.query(failing(code))).toEqual([{ times: 1 }]);
    await superuser.query('alter sequence task_service.tries restart');
    await expect(db.query(failing(code, 2))).rejects.toThrow(DatabaseUnavailable);
    await superuser.query('alter sequence task_service.tries restart');
    // A transaction is not retried: its earlier statements are rolled back too.
    await expect(db.transaction((transaction) => transaction.query(failing(code)))).rejects.toThrow(
      DatabaseUnavailable,
    );
  });

  it.each([
    ['22003', true],
    ['22008', true],
    ['40001', true],
    ['57014', true],
    ['08006', false],
    ['57P01', false],
    ['25006', false],
    ['25P03', false],
    ['26000', false],
    ['42P05', false],
  ])('%s keeps the connection: %s', async (code, isKept) => {
    let process = 0;
    const failed = db.session().transaction(async (transaction) => {
      [{ pid: process }] = (await transaction.query<{ pid: number }>(pid)) as [{ pid: number }];
      await transaction.query(failing(code));
    });
    await expect(failed).rejects.toThrow();
    if (isKept) expect(await isOpen(process)).toBe(true);
    else await until(async () => !(await isOpen(process)));
  });
});

describe('transaction', () => {
  it('commits all of its statements or none', async () => {
    const both = db.transaction(async (transaction) => {
      await transaction.query(insert(1));
      await transaction.query(insert(2));
      return stored();
    });
    expect(await both).toEqual([]);
    expect(await stored()).toEqual([1, 2]);
    const neither = db.transaction(async (transaction) => {
      await transaction.query(insert(3));
      throw new Error('changed my mind');
    });
    await expect(neither).rejects.toThrow('changed my mind');
    const rejected = db.transaction(async (transaction) => {
      await transaction.query(insert(4));
      await transaction.query(insert(-1));
    });
    await expect(rejected).rejects.toMatchObject({ code: '23514' });
    expect(await stored()).toEqual([1, 2]);
  });

  it('takes no connection when it sends no statement', async () => {
    const taken = await Promise.all(Array.from({ length: 10 }, () => db.pool.connect()));
    expect(await db.transaction(() => Promise.resolve('done'))).toBe('done');
    for (const client of taken) client.release();
  });

  it('rolls back when its connection is lost between two statements', async () => {
    const lost = db.transaction(async (transaction) => {
      await transaction.query(insert(1));
      const [{ pid: process }] = (await transaction.query<{ pid: number }>(pid)) as [{ pid: number }];
      await superuser.query('select pg_terminate_backend($1)', [process]);
      await until(async () => !(await isOpen(process)));
      // The client needs a moment to notice.
      await sleep(50);
      await transaction.query(insert(2));
    });
    await expect(lost).rejects.toThrow('The database cannot be reached.');
    expect(await stored()).toEqual([]);
  });

  it('rolls back when its connection is lost during a statement', async () => {
    const lost = db.transaction(async (transaction) => {
      await transaction.query(insert(1));
      await transaction.query({ text: 'select pg_terminate_backend(pg_backend_pid())' });
    });
    await expect(lost).rejects.toThrow(DatabaseUnavailable);
    expect(await stored()).toEqual([]);
  });
});

describe('session', () => {
  it('rejects statements when its deadline is over, and commits nothing', async () => {
    await expect(db.session(performance.now()).query(insert(1))).rejects.toMatchObject({
      constructor: DatabaseUnavailable,
      cause: { message: expect.stringMatching('no (time left|connection) before the deadline') },
    });
    const slow = db.session(performance.now() + 100).query({ text: 'select pg_sleep(0.7)' });
    await expect(slow).rejects.toThrow(DatabaseUnavailable);
    const late = db.session(performance.now() + 100).transaction(async (transaction) => {
      await transaction.query(insert(2));
      await transaction.query({ text: 'select pg_sleep(0.7)' });
    });
    await expect(late).rejects.toThrow(DatabaseUnavailable);
    expect(await stored()).toEqual([]);
  });

  it('waits for a connection until its deadline, and releases one that arrives later', async () => {
    const taken = await Promise.all(Array.from({ length: 10 }, () => db.pool.connect()));
    const waiting = db.session(performance.now() + 100).query(pid);
    await expect(waiting).rejects.toMatchObject({
      message: 'No connection to the database is free.',
      cause: { message: 'no connection before the deadline' },
    });
    const served = db.session(performance.now() + 500).query(pid);
    for (const client of taken) client.release();
    expect(await served).toHaveLength(1);
    await until(() => db.pool.idleCount === 10);
  });

  it('is rejected when 250 requests wait for a connection, unless it has started', async () => {
    const taken = await Promise.all(Array.from({ length: 10 }, () => db.pool.connect()));
    const started = db.session();
    const waiting = [started.query(pid), ...Array.from({ length: 248 }, () => db.query(pid))];
    expect(db.isQueueFull).toBe(false);
    waiting.push(db.query(pid));
    expect(db.isQueueFull).toBe(true);
    await expect(db.query(pid)).rejects.toBe(overloaded);
    await expect(db.session().transaction((transaction) => transaction.query(pid))).rejects.toBe(overloaded);
    // Transactions of the database itself, batches, and the second statement of a started session.
    const others = [db.transaction((transaction) => transaction.query(pid)), db.session(Infinity, true).query(pid)];
    others.push(started.query(pid));
    for (const client of taken) client.release();
    expect(await Promise.all([...waiting, ...others])).toHaveLength(253);
  });

  it('limits each statement to the remaining time, at most 0.9 s', () => {
    expect(withTimeout(100, pid)).toEqual({ ...pid, query_timeout: 100 });
    expect(withTimeout(1700, pid)).toEqual({ ...pid, query_timeout: 900 });
  });
});
