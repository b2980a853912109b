/** What the tests of every service need: the real app over HTTP, on a database of its own in a real PostgreSQL. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readContract, type Contract } from '@task-manager/runtime/contract/document';
import { connectionOf, Database } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { Health } from '@task-manager/runtime/http/health';
import { createLogger, type Logger } from '@task-manager/runtime/http/log';
import type { RateLimit } from '@task-manager/runtime/http/rate-limit';
import { createMetrics, type Metrics } from '@task-manager/runtime/http/metrics';
import { migrate, runtimeMigrations } from '@task-manager/runtime/postgres/migrate';
import { createService } from '@task-manager/runtime/service';
import pg from 'pg';
import { pino } from 'pino';
import { createDatabase } from '@task-manager/dev/embedded-postgres';

interface Options {
  corsOrigins?: string[];
  fastPath?: boolean;
  /** Makes another contract of the one that it has. */
  alter?: (contract: Contract) => Contract;
  rateLimit?: Partial<RateLimit>;
  /** Without one nothing is logged. */
  logger?: Logger;
  /** The service whose database it uses too. */
  sharing?: TestService;
}

export interface TestService {
  server: Server;
  /** Where it listens, without a slash at the end. */
  url: string;
  db: Database;
  health: Health;
  metrics: Metrics;
  environment: Config;
  stop(): Promise<void>;
}

/** Serves `name` as `main.ts` would, every answer held to the contract, on a new and migrated database. */
export async function serve(
  name: string,
  makeHandlers: (health: Health) => object,
  options: Options = {},
): Promise<TestService> {
  const { corsOrigins = ['https://board.example'], fastPath = true, alter } = options;
  const { rateLimit, sharing } = options;
  const environment = sharing?.environment ?? (await newEnvironment(name));
  const { logger = createLogger(name, environment.LOG_LEVEL) } = options;
  const db = new Database(environment, schemaOf(name), logger);
  const health = new Health();
  if (!sharing) await prepare(name, environment);
  db.isMigrated = true;
  health.reason = undefined;
  const metrics = createMetrics(db);
  const contract = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
  const server = createService({
    contract: alter?.(contract) ?? contract,
    handlers: makeHandlers(health),
    db,
    health,
    metrics,
    logger,
    validateResponses: true,
    corsOrigins,
    fastPath,
    rateLimit: { requests: 0, windowS: 60, trustedProxies: [], ...rateLimit },
  });
  const url = await listen(server);
  return {
    server,
    url,
    db,
    health,
    metrics,
    environment,
    async stop() {
      server.close();
      server.closeAllConnections();
      if (!sharing) await dropDatabase(environment);
      await db.end();
    },
  };
}

/** A line of the log; of a request that failed it has what was thrown. */
export interface LogLine {
  msg: string;
  level: number;
  requestId?: string;
  operation?: string;
  method?: string;
  /** Without the query. */
  path?: string;
  status?: number;
  durationMs?: number;
  /** Whether the client left before its answer. */
  aborted?: true;
  rejected?: number;
  err?: { message: string };
}

/** A log that is kept, not written. */
export function captureLog(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  return {
    lines,
    logger: pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) }),
  };
}

/** The environment of a service whose database is new and empty, but for its schema: in the PostgreSQL of all tests, or at `port`. */
export async function newEnvironment(name: string, port = Number(process.env.TEST_POSTGRES_PORT)): Promise<Config> {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const role = schemaOf(name);
  await createDatabase({ port }, database, [name]);
  return {
    PORT: 0,
    METRICS_PORT: 0,
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: port,
    POSTGRES_DB: database,
    POSTGRES_USER: role,
    POSTGRES_PASSWORD: role,
    POSTGRES_SSLMODE: 'disable',
    LOG_LEVEL: 'silent',
    VALIDATE_RESPONSES: true,
    FAST_PATH: true,
    SHUTDOWN_DELAY_MS: 0,
    SHUTDOWN_LIMIT_MS: 30_000,
    CORS_ORIGINS: [],
    RATE_LIMIT: 0,
    RATE_LIMIT_WINDOW_S: 60,
    TRUSTED_PROXIES: [],
  };
}

/** A connection of the test's own to the database of a service, as its superuser. */
export async function connectAsSuperuser(environment: Config): Promise<pg.Client> {
  const { POSTGRES_PORT: port, POSTGRES_DB: database } = environment;
  const client = new pg.Client({ host: '127.0.0.1', port, database, user: 'postgres', password: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** With all connections to it, also those that a change of the code has lost: mutation testing makes thousands. */
export async function dropDatabase(environment: Config): Promise<void> {
  // Nobody can drop the one that they are connected to.
  const client = await connectAsSuperuser({ ...environment, POSTGRES_DB: 'postgres' });
  await client.query(`drop database ${environment.POSTGRES_DB} with (force)`);
  await client.end();
}

function schemaOf(name: string): string {
  return name.replaceAll('-', '_');
}

export async function prepare(name: string, environment: Config): Promise<void> {
  const client = new pg.Client(connectionOf(environment));
  await client.connect();
  const schema = schemaOf(name);
  const folder = new URL(`../../../services/${name}/migrations/`, import.meta.url);
  const logger = createLogger(name, 'silent');
  await migrate(client, runtimeMigrations(schema), logger);
  await migrate(client, { folder, schema, table: 'migrations' }, logger);
  await client.end();
}

export async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
