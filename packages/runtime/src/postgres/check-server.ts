import type pg from 'pg';

/** The database cannot be used as it is. The message says why, and becomes the reason at `/health`. */
export class UnsuitableServer extends Error {}

const oldestVersion = 13;

export async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: string; number: number; encoding: string; database: string }>(
    `select current_setting('server_version') as version, current_setting('server_version_num')::integer as number,
       current_setting('server_encoding') as encoding, current_database() as database`,
  );
  for (const { version, number, encoding, database } of rows) {
    if (number < oldestVersion * 10_000) {
      throw new UnsuitableServer(`PostgreSQL ${version} is too old: version ${oldestVersion} or later is needed.`);
    }
    if (encoding !== 'UTF8') {
      throw new UnsuitableServer(`The database ${database} has the encoding ${encoding}: UTF8 is needed.`);
    }
  }
}
