import type pg from 'pg';
import { timeoutMs } from './database.ts';
import { setUpSession } from './session-settings.ts';

export { UnusableDatabase } from './session-settings.ts';

/** Throws UnusableDatabase. Runs every second, because the connections of a pooler may change. */
export async function checkServer(client: pg.Client): Promise<void> {
  await setUpSession(client, timeoutMs);
}
