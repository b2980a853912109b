/** Applies a service's `migrations/*.sql` in order, each once, whichever replica comes first. */
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import type { Client } from 'pg';
import type { Logger } from 'pino';
import { sqlState, timeoutMs, within } from './database.ts';

export interface Migrations {
  /** The folder of `0001-create-….sql` and so on. */
  folder: URL;
  /** The schema they make tables in; made too if it is not there. */
  schema: string;
}

/** Thrown when a newer version of the service has changed the tables so that this one cannot use them. */
export class MigratedPast extends Error {}

/**
 * Brings the tables to where this version of the service needs them, or finds that they are there. Replicas take turns by an
 * advisory lock, so it may wait for another's migration. Each file is one transaction: a migration that fails leaves
 * nothing behind.
 *
 * @throws {MigratedPast} when a migration that this version does not know is marked as breaking it: its file is named
 * `0007-….breaking.sql`. All others let older versions be, so that a rollback works.
 * @throws when the database goes away or a migration fails. The client is then of no more use, and holds the lock until
 * it is ended.
 */
export async function migrate(client: Client, migrations: Migrations, logger: Logger): Promise<void> {
  if (await isMigrated(client, migrations)) return;
  const { folder, schema } = migrations;
  // It takes as long as it takes: to wait for another replica, or to make an index on a large table.
  await client.query('set statement_timeout = 0');
  await createSchema(client, schema);
  await runner({
    dbClient: client,
    dir: fileURLToPath(folder),
    direction: 'up',
    schema,
    migrationsSchema: schema,
    migrationsTable: 'migrations',
    advisoryLockMode: 'wait',
    checkOrder: true,
    logger: {
      debug: () => undefined,
      info: (message) => {
        logger.debug(message);
      },
      warn: (message) => {
        logger.warn(message);
      },
      // Thrown as well. As a rule only the database went away, which is no fault of the service.
      error: (message) => {
        logger.warn(message);
      },
    },
  });
}

/** Whether all that this version needs has been applied. One statement, so that it can be asked again and again. */
async function isMigrated(client: Client, { folder, schema }: Migrations): Promise<boolean> {
  const applied = await findApplied(client, schema);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql'));
  const own = files.map((file) => basename(file, '.sql'));
  const past = applied.find((name) => name.endsWith('.breaking') && !own.includes(name));
  if (past !== undefined) {
    throw new MigratedPast(
      `a newer version of the service has applied the migration ${past}: run that version, or go back to a backup from before`,
    );
  }
  return own.every((name) => applied.includes(name));
}

async function findApplied(client: Client, schema: string): Promise<string[]> {
  try {
    // The time limit is the client's own: the server may be past keeping one.
    const text = `select name from ${client.escapeIdentifier(schema)}.migrations`;
    const { rows } = await client.query<{ name: string }>(within(timeoutMs, { text }));
    return rows.map(({ name }) => name);
  } catch (error) {
    if (sqlState(error) === undefinedTable) return [];
    throw error;
  }
}

const undefinedTable = '42P01';

/** `create schema if not exists` needs the right to create one even when it exists; a service's role may lack it. */
async function createSchema(client: Client, schema: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (rowCount === 0) await client.query(`create schema if not exists ${client.escapeIdentifier(schema)}`);
}
