/** Applies `*.sql` migrations in order, each once, whichever replica comes first. */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Client } from 'pg';
import type { Logger } from 'pino';
import { sqlState, timeoutMs, withTimeout } from './database.ts';

export interface Migrations {
  /** The folder of `0001-create-….sql` and so on. Unqualified names in them mean the schema. */
  folder: URL;
  schema: string;
  table: string;
}

/** The tables that the runtime owns in the schema of each service: apply them before the service's own. */
export function runtimeMigrations(schema: string): Migrations {
  return { folder: new URL('migrations/', import.meta.url), schema, table: 'runtime_migrations' };
}

export class MigratedPast extends Error {}

/**
 * Applies missing migrations, each in a transaction with the lock of the replicas, as a pooler needs (decision 002).
 * @throws {MigratedPast} A migration unknown to this version breaks it: `0007-….breaking.sql`. End the client after any error.
 */
export async function migrate(client: Client, migrations: Migrations, logger: Logger): Promise<void> {
  while ((await findMissing(client, migrations)) !== undefined) await applyNext(client, migrations, logger);
}

async function applyNext(client: Client, migrations: Migrations, logger: Logger): Promise<void> {
  const { folder, schema } = migrations;
  const table = tableOf(client, migrations);
  await client.query(
    `begin isolation level read committed; set local statement_timeout = 0; select pg_advisory_xact_lock(${lockId})`,
  );
  await createSchema(client, schema);
  await client.query(`set local search_path = ${client.escapeIdentifier(schema)};
    create table if not exists ${table} (id serial primary key, name varchar(255) not null, run_on timestamp not null)`);
  const name = await findMissing(client, migrations);
  if (name !== undefined) {
    logger.debug({ migration: name }, 'migrating');
    await client.query(await readFile(new URL(`${name}.sql`, folder), 'utf8'));
    await client.query(`insert into ${table} (name, run_on) values ($1, now())`, [name]);
  }
  await client.query('commit');
}

/** The lock of node-pg-migrate, which version 0.1.0 uses. */
const lockId = 7241865325823964n;

/** The next migration to apply. One statement, so that it can run every second. */
async function findMissing(client: Client, migrations: Migrations): Promise<string | undefined> {
  const applied = await findApplied(client, migrations);
  const files = (await readdir(migrations.folder)).filter((file) => file.endsWith('.sql')).sort();
  const known = files.map((file) => basename(file, '.sql'));
  const breaking = applied.find((name) => name.endsWith('.breaking') && !known.includes(name));
  if (breaking !== undefined) {
    throw new MigratedPast(
      `a newer version of the service has applied the migration ${breaking}: run that version, or restore a backup from before`,
    );
  }
  return known.find((name) => !applied.includes(name));
}

async function findApplied(client: Client, migrations: Migrations): Promise<string[]> {
  try {
    const text = `select name from ${tableOf(client, migrations)}`;
    const { rows } = await client.query<{ name: string }>(withTimeout(timeoutMs, { text }));
    return rows.map(({ name }) => name);
  } catch (error) {
    if (sqlState(error) === undefinedTable) return [];
    throw error;
  }
}

function tableOf(client: Client, { schema, table }: Migrations): string {
  return `${client.escapeIdentifier(schema)}.${client.escapeIdentifier(table)}`;
}

const undefinedTable = '42P01';

/** `create schema if not exists` needs the right to create schemas even when it exists; a service's role may lack it. */
async function createSchema(client: Client, schema: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (rowCount === 0) await client.query(`create schema if not exists ${client.escapeIdentifier(schema)}`);
}
