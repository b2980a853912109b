/** Proves that migrations run once and in order, and that failed, missing and breaking ones are safe. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connectionOf } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import { migrate, MigratedPast } from '@task-manager/runtime/postgres/migrate';
import pg from 'pg';
import { connectAsSuperuser, newEnvironment } from '@task-manager/testing/harness';

const schema = 'task_service';
let folder: string;
let environment: Config;
let clients: pg.Client[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'task-manager-migrations-'));
  environment = await newEnvironment('task-service');
  clients = [1, 2, 3].map(() => new pg.Client(connectionOf(environment)));
  await Promise.all(clients.map((client) => client.connect()));
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await rm(folder, { recursive: true });
});

const write = (name: string, sql: string) => writeFile(join(folder, name), sql);
const run = (client: pg.Client) =>
  migrate(client, { folder: pathToFileURL(`${folder}/`), schema, table: 'migrations' }, createLogger('test', 'silent'));

async function tables(): Promise<string[]> {
  const { rows } = await (clients[2] as pg.Client).query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = '${schema}' order by 1`,
  );
  return rows.map(({ name }) => name);
}

async function asSuperuser(statement: string): Promise<void> {
  const client = await connectAsSuperuser(environment);
  await client.query(statement);
  await client.end();
}

describe('migrate', () => {
  it('applies each file once and in order when replicas run concurrently', async () => {
    await write('0001-create-a.sql', 'create table task_service.a (id int)');
    await write('0002-fill-a.sql', 'insert into task_service.a values (1)');
    await Promise.all(clients.map(run));
    await Promise.all(clients.map(run));
    const { rows } = await (clients[0] as pg.Client).query('select * from task_service.a');
    expect(rows).toEqual([{ id: 1 }]);
  });

  it('rolls back a file that fails, and applies it when it is fixed', async () => {
    await write('0001-create-a.sql', 'create table task_service.a (id int)');
    await write('0002-create-b.sql', 'create table task_service.b (id int); select 1 / 0');
    await expect(run(clients[0] as pg.Client)).rejects.toThrow('division by zero');
    await clients[0]?.end();
    expect(await tables()).toEqual(['a', 'migrations']);
    await write('0002-create-b.sql', 'create table task_service.b (id int)');
    await run(clients[1] as pg.Client);
    expect(await tables()).toEqual(['a', 'b', 'migrations']);
  });

  it('creates the schema when it is missing and the role may create it', async () => {
    await write('0001-create-a.sql', 'create table task_service.a (id int)');
    const [owner, other] = clients as [pg.Client, pg.Client];
    await other.query(`drop schema ${schema}`);
    await expect(run(other)).rejects.toThrow('permission denied');
    await asSuperuser(`grant create on database ${environment.POSTGRES_DB} to ${schema}`);
    await run(owner);
    expect(await tables()).toEqual(['a', 'migrations']);
  });

  it('succeeds after a newer version has run, so that a rollback works', async () => {
    await write('0001-create-a.sql', 'create table task_service.a (id int)');
    await write('0002-create-b.sql', 'create table task_service.b (id int)');
    await run(clients[0] as pg.Client);
    await rm(join(folder, '0002-create-b.sql'));
    await run(clients[0] as pg.Client);
    expect(await tables()).toEqual(['a', 'b', 'migrations']);
  });

  it('fails when a newer version has run a breaking migration, until it is undone', async () => {
    await write('0001-create-a.sql', 'create table task_service.a (id int)');
    await write('0002-drop-a.breaking.sql', 'drop table task_service.a');
    await run(clients[0] as pg.Client);
    // The newer version still succeeds.
    await run(clients[1] as pg.Client);
    await rm(join(folder, '0002-drop-a.breaking.sql'));
    for (const client of clients) {
      await expect(run(client)).rejects.toThrow(MigratedPast);
      await expect(run(client)).rejects.toThrow('0002-drop-a.breaking');
    }
    await clients[2]?.query(`delete from ${schema}.migrations where name like '%.breaking'`);
    await run(clients[0] as pg.Client);
  });

  it('leaves nothing behind in the session when it is done, as a pooler gives it to another client', async () => {
    await write('0001-create-a.sql', 'create table a (id int)');
    const [client] = clients as [pg.Client];
    const session = async () => {
      const { rows } = await client.query<object>(`select current_setting('search_path') as path,
        current_setting('statement_timeout') as timeout,
        (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks`);
      return rows;
    };
    await client.query(`set statement_timeout = '800ms'`);
    const before = await session();
    await run(client);
    expect(await tables()).toEqual(['a', 'migrations']);
    expect(await session()).toEqual(before);
  });

  it('ignores the statement timeout of the connection', async () => {
    await write('0001-create-a.sql', 'create table task_service.a (id int)');
    await write('0002-fill-a.sql', `insert into task_service.a select 1 from pg_sleep(1)`);
    const client = clients[0] as pg.Client;
    await client.query(`set statement_timeout = '800ms'`);
    await run(client);
    expect((await client.query('select from task_service.a')).rowCount).toBe(1);
  });
});
