import type pg from 'pg';
import { timeoutMs, withTimeout } from './database.ts';
import { setUpSession, UnusableDatabase } from './session-settings.ts';

const oldestVersion = 13;

interface Server {
  version: string;
  number: number;
  encoding: string;
  database: string;
}

/** Throws UnusableDatabase. Runs every second, because the connections of a pooler may change. */
export async function checkServer(client: pg.Client): Promise<void> {
  const text = `select current_setting('server_version') as version, current_setting('server_version_num')::integer as number,
                  current_setting('server_encoding') as encoding, current_database() as database`;
  const { rows } = await client.query<Server>(withTimeout(timeoutMs, { text }));
  for (const { version, number, encoding, database } of rows) {
    if (number < oldestVersion * 10_000) {
      throw new UnusableDatabase(`PostgreSQL ${version} is too old: version ${oldestVersion} or later is needed.`);
    }
    if (encoding !== 'UTF8') {
      throw new UnusableDatabase(`The database ${database} has the encoding ${encoding}: UTF8 is needed.`);
    }
  }
  await setUpSession(client, timeoutMs);
}
