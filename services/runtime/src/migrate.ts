/** Applies a service's `migrations/*.sql` in order, each once, whichever replica comes first. */
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import type { Client } from 'pg';
import type { Logger } from 'pino';

export interface Migrations {
  /** The folder of `0001-create-….sql` and so on. */
  folder: URL;
  /** The schema they make tables in; made too if it is not there. */
  schema: string;
}

/**
 * Brings the tables to where this version of the service needs them. Replicas take turns by an advisory lock, so it may
 * wait for another's migration. Each file is one transaction: a migration that fails leaves nothing behind.
 *
 * @throws when the database goes away or a migration fails. The client is then of no more use, and holds the lock until
 * it is ended.
 */
export async function migrate(client: Client, { folder, schema }: Migrations, logger: Logger): Promise<void> {
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
      error: (message) => {
        logger.error(message);
      },
    },
  });
}

/** `create schema if not exists` needs the right to create one even when it exists; a service's role may lack it. */
async function createSchema(client: Client, schema: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (rowCount === 0) await client.query(`create schema if not exists ${client.escapeIdentifier(schema)}`);
}
