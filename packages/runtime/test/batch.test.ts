import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { batched, shared } from '@task-manager/runtime/postgres/batch';
import { Database, DatabaseUnavailable, type Queryable } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import type pg from 'pg';
import { dropDatabase, connectAsSuperuser, newEnvironment } from '@task-manager/testing/harness';

let environment: Config;
let db: Database;
/** Looks on from outside, and holds what the others need. */
let onlooker: pg.Client;
/** The arguments of each statement that was sent. */
let sent: number[][];

beforeAll(async () => {
  environment = await newEnvironment('task-service');
  db = new Database(environment, 'task_service', createLogger('test', 'silent'));
  db.isMigrated = true;
  onlooker = await connectAsSuperuser(environment);
  await onlooker.query(
    'create table task_service.numbers (number int unique deferrable initially deferred check (number > 0))',
  );
  await onlooker.query('grant all on task_service.numbers to task_service');
});
afterAll(async () => {
  await onlooker.end();
  await dropDatabase(environment);
  await db.end();
});
beforeEach(async () => {
  sent = [];
  await onlooker.query('truncate task_service.numbers');
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
  const { rows } = await onlooker.query<{ number: number }>('select number from task_service.numbers order by 1');
  return rows.map(({ number }) => number);
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
/** Until all that has arrived together has been sent. */
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('batched', () => {
  it('sends what comes together in one statement, and gives each its own result', async () => {
    expect(await Promise.all(numbers(1, 50).map((number) => insert(db, number)))).toEqual(numbers(1, 50));
    expect(sent).toEqual([numbers(1, 50)]);
  });

  it('gathers while a batch is on its way, so that nobody waits for more than that and their own', async () => {
    const slowly = batched(async (queryable: Queryable, all: number[]) => {
      sent.push(all);
      await queryable.query({ text: 'select pg_sleep(0.05)' });
      return all;
    });
    const calls = [];
    for (const number of numbers(1, 5)) {
      calls.push(slowly(db, number));
      await turn();
    }
    await Promise.all(calls);
    expect(sent).toEqual([[1], [2, 3, 4, 5]]);
  });

  it('sends more than a statement should hold beside what is on its way', async () => {
    const all = numbers(1, 600).map((number) => insert(db, number));
    await Promise.all(all);
    expect(sent.map(({ length }) => length).sort()).toEqual([256, 256, 88]);
    expect(await stored()).toEqual(numbers(1, 600));
  });

  it('answers when the row is there for everybody', async () => {
    const answered = numbers(1, 20).map(async (number) => {
      await insert(db, number);
      const text = 'select from task_service.numbers where number = $1';
      return (await db.pool.query({ text, values: [number] })).rowCount;
    });
    expect(await Promise.all(answered)).toEqual(answered.map(() => 1));
  });

  it('lets the one that is at fault fail alone', async () => {
    const outcomes = await Promise.allSettled(
      [...numbers(1, 20), -1, ...numbers(21, 40)].map((number) => insert(db, number)),
    );
    expect(outcomes.map(({ status }) => status).indexOf('rejected')).toBe(20);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toMatchObject([{ reason: { code: '23514' } }]);
    expect(await stored()).toEqual(numbers(1, 40));
  });

  it('lets one that is found at fault by the commit fail alone', async () => {
    await insert(db, 7);
    const outcomes = await Promise.allSettled(numbers(1, 10).map((number) => insert(db, number)));
    expect(outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index + 1] : []))).toEqual([7]);
    expect(await stored()).toEqual(numbers(1, 10));
  });

  it('fails all of a batch whose connection is lost, and sends none of it again', async () => {
    await onlooker.query('begin; lock table task_service.numbers');
    const outcomes = Promise.allSettled(numbers(1, 10).map((number) => insert(db, number)));
    const waiting = `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'task_service' and wait_event_type = 'Lock'`;
    while ((await onlooker.query(waiting)).rowCount === 0);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(DatabaseUnavailable) });
    }
    await onlooker.query('commit');
    expect(sent).toEqual([numbers(1, 10)]);
    expect(await stored()).toEqual([]);
    expect(await insert(db, 11)).toBe(11);
  });

  it('does not let a batch that the database holds up hold up those behind it', async () => {
    const hold = batched(async (queryable: Queryable, all: number[]) => {
      const text = 'insert into task_service.held select unnest($1::int[]) on conflict do nothing';
      await queryable.query({ text, values: [all] });
      return all;
    });
    await onlooker.query('create table task_service.held (number int primary key)');
    await onlooker.query('grant all on task_service.held to task_service');
    await onlooker.query('begin; insert into task_service.held values (1)');
    // It waits for the onlooker, who may yet have it.
    const held = hold(db, 1);
    await turn();
    expect(await hold(db, 2)).toBe(2);
    await onlooker.query('rollback');
    expect(await held).toBe(1);
  });

  it('is a statement by itself in a transaction, which is undone with it', async () => {
    const undone = db.transaction(async (transaction) => {
      await Promise.all([insert(transaction, 1), insert(db, 2)]);
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    expect(sent.sort()).toEqual([[1], [2]]);
    expect(await stored()).toEqual([2]);
  });
});

describe('shared', () => {
  it('reads once for all who ask the same at the same time', async () => {
    await insert(db, 1);
    sent = [];
    expect(await Promise.all([count(db, 1), count(db, 2), count(db, 1), count(db, 1)])).toEqual([1, 0, 1, 1]);
    expect(sent.sort()).toEqual([[1], [2]]);
  });

  it('never answers with what was read before somebody asked', async () => {
    const early = count(db, 1);
    const reading = `select from pg_stat_activity where state = 'active' and query like 'select count(*)::int, pg_sleep%'`;
    while ((await onlooker.query(reading)).rowCount === 0);
    await insert(db, 1);
    expect([await count(db, 1), await early]).toEqual([1, 0]);
  });

  it('tells all who asked when it fails', async () => {
    const fail = shared((queryable: Queryable) => queryable.query({ text: 'select 1 / 0' }));
    for (const outcome of await Promise.allSettled([fail(db, 1), fail(db, 1)])) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
    }
  });
});
