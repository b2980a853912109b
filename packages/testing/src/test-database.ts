/** Jest's global set-up: a throw-away PostgreSQL for the tests of one package; each test file makes its own database. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { services } from '@task-manager/dev/repository';
import { createDatabase, startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';

let dataDir: string;
let postgres: Postgres;

export default async function setUp(): Promise<void> {
  dataDir = await mkdtemp(join(tmpdir(), 'task-manager-test-'));
  // Started by root, PostgreSQL runs as another user.
  await chmod(dataDir, 0o755);
  postgres = await startPostgres({ dataDir });
  // Roles are the server's, not a database's: made here, test files need not race for them.
  await createDatabase(postgres, 'task_manager', services);
  process.env.TEST_POSTGRES_PORT = String(postgres.port);
}

/** The matching tear-down; jest wants it in a file of its own. */
export async function tearDown(): Promise<void> {
  await postgres.stop();
  await rm(dataDir, { recursive: true, force: true });
}
