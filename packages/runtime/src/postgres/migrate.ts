/** Applies `*.sql` migrations in order, each once, whichever replica comes first. */
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
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
 * Applies missing migrations, each in a transaction. Replicas take turns by an advisory lock.
 * @throws {MigratedPast} A migration unknown to this version breaks it: `0007-….breaking.sql`. End the client after any error.
 */
export async function migrate(client: Client, migrations: Migrations, logger: Logger): Promise<void> {
  if (await isMigrated(client, migrations)) return;
  const { folder, schema, table } = migrations;
  await client.query('set statement_timeout = 0');
  await createSchema(client, schema);
  await runner({
    dbClient: client,
    dir: fileURLToPath(folder),
    direction: 'up',
    schema,
    migrationsSchema: schema,
    migrationsTable: table,
    advisoryLockMode: 'wait',
    // Databases of version 0.1.0 have applied files that are the runtime's now.
    checkOrder: false,
    logger: {
      debug: () => undefined,
      info: (message) => {
        logger.debug(message);
      },
      warn: (message) => {
        logger.warn(message);
      },
      // It is thrown as well. Usually the database has become unavailable.
      error: (message) => {
        logger.warn(message);
      },
    },
  });
}

/** One statement, so that it can run every second. */
async function isMigrated(client: Client, migrations: Migrations): Promise<boolean> {
  const applied = await findApplied(client, migrations);
  const files = (await readdir(migrations.folder)).filter((file) => file.endsWith('.sql'));
  const known = files.map((file) => basename(file, '.sql'));
  const breaking = applied.find((name) => name.endsWith('.breaking') && !known.includes(name));
  if (breaking !== undefined) {
    throw new MigratedPast(
      `a newer version of the service has applied the migration ${breaking}: run that version, or restore a backup from before`,
    );
  }
  return known.every((name) => applied.includes(name));
}

async function findApplied(client: Client, { schema, table }: Migrations): Promise<string[]> {
  try {
    const text = `select name from ${client.escapeIdentifier(schema)}.${client.escapeIdentifier(table)}`;
    const { rows } = await client.query<{ name: string }>(withTimeout(timeoutMs, { text }));
    return rows.map(({ name }) => name);
  } catch (error) {
    if (sqlState(error) === undefinedTable) return [];
    throw error;
  }
}

const undefinedTable = '42P01';

/** `create schema if not exists` needs the right to create schemas even when it exists; a service's role may lack it. */
async function createSchema(client: Client, schema: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (rowCount === 0) await client.query(`create schema if not exists ${client.escapeIdentifier(schema)}`);
}
