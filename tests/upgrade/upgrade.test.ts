/** Databases of earlier versions migrate forward. `<version>/<service>/` has the migrations of a release. */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { services } from '@task-manager/dev/repository';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import { connectionOf, Database } from '@task-manager/runtime/postgres/database';
import { migrate } from '@task-manager/runtime/postgres/migrate';
import { indexQueued, toSearchQuery } from '@task-manager/runtime/postgres/search';
import { dropDatabase, newEnvironment, migrateDatabase } from '@task-manager/testing/harness';
import { until } from '@task-manager/testing/until';
import pg from 'pg';

const folder = new URL('./', import.meta.url);
const versions = readdirSync(folder).filter((name) => /^\d+\.\d+\.\d+$/.test(name));
const releases = versions.flatMap((version) => services.map((service) => [service, version] as const));
const eventTypes: Record<string, string> = { 'task-service': 'task.created', 'user-service': 'user.registered' };
const searched: Record<string, { table: string; texts: [string, string] }> = {
  'task-service': { table: 'tasks', texts: ['title', 'description'] },
  'user-service': { table: 'users', texts: ['name', 'email'] },
};

describe.each(releases)('a database of %s %s', (service, version) => {
  const schema = service.replaceAll('-', '_');
  const migrations = new URL(`${version}/${service}/`, folder);
  const { table, texts } = searched[service] as (typeof searched)[string];
  /** As that version does, without words for the search. */
  const insert = (client: pg.Client, values: [string, string]) =>
    client.query(
      `insert into ${schema}.${table} (id, ${texts.join()}, created_at) values (gen_random_uuid(), $1, $2, now())`,
      values,
    );
  let upgraded: Config;
  let fresh: Config;

  beforeAll(async () => {
    [upgraded, fresh] = await Promise.all([newEnvironment(service), newEnvironment(service)]);
    await withClient(upgraded, async (client) => {
      await migrate(client, { folder: migrations, schema, table: 'migrations' }, createLogger(service, 'silent'));
      await client.query(`insert into ${schema}.events (type, subject, version) values ($1, gen_random_uuid(), 1)`, [
        eventTypes[service],
      ]);
      await client.query(`insert into ${schema}.idempotency_keys (key, fingerprint, answer) values ('k', 'f', '{}')`);
      await client.query(`insert into ${schema}.rate_limits (key, points, expire) values ('192.0.2.1', 1, 1)`);
      await insert(client, ['L’école', 'ecole@example.com']);
    });
  });
  afterAll(() => Promise.all([dropDatabase(upgraded), dropDatabase(fresh)]));

  it('has the rows it had, and the schema of a new database, after the upgrade', async () => {
    const rowsOf = async (client: pg.Client) => {
      const rows: object[] = [];
      for (const table of ['events', 'idempotency_keys', 'rate_limits']) {
        rows.push(...(await client.query<object>(`select * from ${schema}.${table}`)).rows);
      }
      return rows;
    };
    const before = await withClient(upgraded, rowsOf);
    expect(before).toHaveLength(3);
    await Promise.all([migrateDatabase(service, upgraded), migrateDatabase(service, fresh)]);
    expect(await withClient(upgraded, rowsOf)).toEqual(before);
    expect(await describeSchema(upgraded, schema)).toEqual(await describeSchema(fresh, schema));
  });

  it('still serves replicas of that version after the upgrade', async () => {
    await migrateDatabase(service, upgraded);
    const required = readdirSync(migrations).map((file) => file.replace(/\.sql$/, ''));
    const applied = await withClient(upgraded, (client) =>
      client.query<{ name: string }>(`select name from ${schema}.migrations`),
    );
    expect(applied.rows.map(({ name }) => name)).toEqual(expect.arrayContaining(required));
    await withClient(upgraded, (client) => insert(client, ['Jardin d’été', 'ete@example.com']));
  });

  it('finds its rows, and those that replicas of that version insert, once they are indexed', async () => {
    const db = new Database(upgraded, schema, createLogger(service, 'silent'));
    db.isMigrated = true;
    const stop = new AbortController();
    const indexing = indexQueued(db, table, texts, createLogger(service, 'silent'), stop.signal);
    for (const q of ['école', 'été', 'ECOLE']) {
      const query = { text: `select from ${schema}.${table} where search @@ $1::tsquery`, values: [toSearchQuery(q)] };
      await until(async () => (await db.query(query)).length === 1);
    }
    stop.abort();
    await indexing;
    await db.end();
  });
});

async function withClient<Result>(config: Config, run: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client(connectionOf(config));
  await client.connect();
  return run(client).finally(() => client.end());
}

/** Columns, constraints, indexes and functions, in PostgreSQL's own words. */
async function describeSchema(config: Config, schema: string): Promise<object[]> {
  return withClient(config, async (client) => {
    const { rows } = await client.query<object>(
      `select table_name, column_name as name, concat_ws(' ', data_type, is_nullable, column_default) as definition
       from information_schema.columns where table_schema = $1
       union all
       select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
       from pg_constraint where connamespace = $1::regnamespace
       union all
       select tablename, indexname, indexdef from pg_indexes where schemaname = $1
       union all
       select '', proname, pg_get_functiondef(oid) from pg_proc where pronamespace = $1::regnamespace
       order by 1, 2, 3`,
      [schema],
    );
    return rows;
  });
}
