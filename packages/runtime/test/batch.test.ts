/** Proves that concurrent calls share statements, and that a failure reaches only its own call. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { batched, shared } from '@task-manager/runtime/postgres/batch';
import { Database, DatabaseUnavailable, type Queryable } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import type pg from 'pg';
import { dropDatabase, connectAsSuperuser, newEnvironment } from '@task-manager/testing/harness';

let environment: Config;
let db: Database;
/** Reads the database outside the pool, and holds locks. */
let superuser: pg.Client;
/** The arguments of each statement that was sent, in order. */
let sent: number[][];

beforeAll(async () => {
  environment = await newEnvironment('task-service');
  db = new Database(environment, 'task_service', createLogger('test', 'silent'));
  db.isMigrated = true;
  superuser = await connectAsSuperuser(environment);
  await superuser.query(
    'create table task_service.numbers (number int unique deferrable initially deferred check (number > 0))',
  );
  await superuser.query('grant all on task_service.numbers to task_service');
});
afterAll(async () => {
  await superuser.end();
  await dropDatabase(environment);
  await db.end();
});
beforeEach(async () => {
  sent = [];
  await superuser.query('truncate task_service.numbers');
});

const insertAll = async (queryable: Queryable, numbers: number[]) => {
  sent.push(numbers);
  const text = 'insert into task_service.numbers select unnest($1::int[]) returning number';
  const rows = await queryable.query<{ number: number }>({ text, values: [numbers] });
  return rows.map(({ number }) => number);
};
const insert = batched(insertAll);
const count = shared(async (queryable: Queryable, from: number) => {
  sent.push([from]);
  const text = 'select count(*)::int, pg_sleep(0.2) from task_service.numbers where number >= $1';
  const [row] = await queryable.query<{ count: number }>({ text, values: [from] });
  return row?.count;
});

async function stored(): Promise<number[]> {
  const { rows } = await superuser.query<{ number: number }>('select number from task_service.numbers order by 1');
  return rows.map(({ number }) => number);
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
/** Waits until the pending batch has been sent. */
const batchSent = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('batched', () => {
  it('sends concurrent calls in one statement, and returns to each its own result', async () => {
    expect(await Promise.all(numbers(1, 50).map((number) => insert(db, number)))).toEqual(numbers(1, 50));
    expect(sent).toEqual([numbers(1, 50)]);
  });

  it('collects calls while a batch is in flight', async () => {
    const insertSlowly = batched(async (queryable: Queryable, all: number[]) => {
      sent.push(all);
      await queryable.query({ text: 'select pg_sleep(0.05)' });
      return all;
    });
    const calls = [];
    for (const number of numbers(1, 5)) {
      calls.push(insertSlowly(db, number));
      await batchSent();
    }
    await Promise.all(calls);
    expect(sent).toEqual([[1], [2, 3, 4, 5]]);
  });

  it('sends another batch at once when the pending one is full', async () => {
    const all = numbers(1, 600).map((number) => insert(db, number));
    await Promise.all(all);
    expect(sent.map(({ length }) => length).sort()).toEqual([256, 256, 88]);
    expect(await stored()).toEqual(numbers(1, 600));
  });

  it('resolves when other connections see the row', async () => {
    const counts = numbers(1, 20).map(async (number) => {
      await insert(db, number);
      const text = 'select from task_service.numbers where number = $1';
      return (await db.pool.query({ text, values: [number] })).rowCount;
    });
    expect(await Promise.all(counts)).toEqual(counts.map(() => 1));
  });

  it('rejects only the invalid call of a batch', async () => {
    const outcomes = await Promise.allSettled(
      [...numbers(1, 20), -1, ...numbers(21, 40)].map((number) => insert(db, number)),
    );
    expect(outcomes.map(({ status }) => status).indexOf('rejected')).toBe(20);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toMatchObject([{ reason: { code: '23514' } }]);
    expect(await stored()).toEqual(numbers(1, 40));
  });

  it('rejects only the invalid call when the commit finds it', async () => {
    await insert(db, 7);
    const outcomes = await Promise.allSettled(numbers(1, 10).map((number) => insert(db, number)));
    expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index + 1] : []))).toEqual([7]);
    expect(await stored()).toEqual(numbers(1, 10));
  });

  it('rejects the whole batch without a retry when its connection is lost', async () => {
    await superuser.query('begin; lock table task_service.numbers');
    const outcomes = Promise.allSettled(numbers(1, 10).map((number) => insert(db, number)));
    const waiting = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'task_service' and wait_event_type = 'Lock'`;
    while ((await superuser.query(waiting)).rowCount === 0);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(DatabaseUnavailable) });
    }
    await superuser.query('commit');
    expect(sent).toEqual([numbers(1, 10)]);
    expect(await stored()).toEqual([]);
    expect(await insert(db, 11)).toBe(11);
  });

  it('sends the next batch when the database blocks the one in flight', async () => {
    const insertHeld = batched(async (queryable: Queryable, all: number[]) => {
      const text = 'insert into task_service.held select unnest($1::int[]) on conflict do nothing';
      await queryable.query({ text, values: [all] });
      return all;
    });
    await superuser.query('create table task_service.held (number int primary key)');
    await superuser.query('grant all on task_service.held to task_service');
    await superuser.query('begin; insert into task_service.held values (1)');
    // Waits for the uncommitted row of the superuser.
    const held = insertHeld(db, 1);
    await batchSent();
    expect(await insertHeld(db, 2)).toBe(2);
    await superuser.query('rollback');
    expect(await held).toBe(1);
  });

  it('sends a separate statement in a transaction, and rolls it back with it', async () => {
    const rolledBack = db.transaction(async (transaction) => {
      await Promise.all([insert(transaction, 1), insert(db, 2)]);
      throw new Error('rollback');
    });
    await expect(rolledBack).rejects.toThrow('rollback');
    expect(sent.sort()).toEqual([[1], [2]]);
    expect(await stored()).toEqual([2]);
  });
});

describe('shared', () => {
  it('reads once for concurrent calls with equal arguments', async () => {
    await insert(db, 1);
    sent = [];
    expect(await Promise.all([count(db, 1), count(db, 2), count(db, 1), count(db, 1)])).toEqual([1, 0, 1, 1]);
    expect(sent.sort()).toEqual([[1], [2]]);
  });

  it('never returns a result that was read before the call', async () => {
    const early = count(db, 1);
    const reading = `select from pg_stat_activity where state = 'active' and query like 'select count(*)::int, pg_sleep%'`;
    while ((await superuser.query(reading)).rowCount === 0);
    await insert(db, 1);
    expect([await count(db, 1), await early]).toEqual([1, 0]);
  });

  it('rejects all calls when the read fails', async () => {
    const fail = shared((queryable: Queryable) => queryable.query({ text: 'select 1 / 0' }));
    for (const outcome of await Promise.allSettled([fail(db, 1), fail(db, 1)])) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
    }
  });
});
