/** Jest's global setup: a temporary PostgreSQL for the tests of one package. Each test file creates its own database. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { services } from '@task-manager/dev/repository';
import { createDatabase, startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';
import { versionUnderTest } from './postgres.ts';

let dataDir: string;
let postgres: Postgres;

export default async function setUp(): Promise<void> {
  dataDir = await mkdtemp(join(tmpdir(), 'task-manager-test-'));
  // As root, PostgreSQL starts as another user, and that user reads the folder.
  await chmod(dataDir, 0o755);
  postgres = await startPostgres({ dataDir, ...versionUnderTest() });
  // Roles belong to the whole server: test files that create them would race.
  await createDatabase(postgres, 'task_manager', services);
  process.env.TEST_POSTGRES_PORT = String(postgres.port);
}

/** Jest's global teardown, which must be the default export of another file. */
export async function tearDown(): Promise<void> {
  await postgres.stop();
  await rm(dataDir, { recursive: true, force: true });
}
