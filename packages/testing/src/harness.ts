/** Starts a service in the test process: the real app over HTTP, with its own database in a real PostgreSQL. */
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
  alterContract?: (contract: Contract) => Contract;
  rateLimit?: Partial<RateLimit>;
  /** By default nothing is logged. */
  logger?: Logger;
  /** The part of `create database` that sets the locale. */
  locale?: string;
  /** Another service to share the database of, as a second replica does. */
  databaseOf?: TestService;
}

export interface TestService {
  server: Server;
  /** Without a trailing slash. */
  url: string;
  db: Database;
  health: Health;
  metrics: Metrics;
  environment: Config;
  stop(): Promise<void>;
}

/** Starts the service on a new, migrated database, and validates each response against the contract. */
export async function serve(
  name: string,
  makeHandlers: (health: Health) => object,
  options: Options = {},
): Promise<TestService> {
  const { corsOrigins = ['https://board.example'], fastPath = true, alterContract } = options;
  const { rateLimit, databaseOf, locale } = options;
  const environment = databaseOf?.environment ?? (await newEnvironment(name, undefined, locale));
  const { logger = createLogger(name, environment.LOG_LEVEL) } = options;
  const db = new Database(environment, schemaOf(name), logger);
  const health = new Health();
  if (!databaseOf) await migrateDatabase(name, environment);
  db.isMigrated = true;
  health.reason = undefined;
  const metrics = createMetrics(db);
  const contract = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
  const server = createService({
    contract: alterContract?.(contract) ?? contract,
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
      if (!databaseOf) await dropDatabase(environment);
      await db.end();
    },
  };
}

/**
 * Creates a database with an empty schema, by default in the PostgreSQL that all tests share, and returns its config.
 * `options` are those of `create database`, such as an encoding or a locale.
 */
export async function newEnvironment(
  name: string,
  port = Number(process.env.TEST_POSTGRES_PORT),
  options = '',
): Promise<Config> {
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  const role = schemaOf(name);
  await createDatabase({ port }, database, [name], options);
  return {
    PORT: 0,
    METRICS_PORT: 0,
    LISTEN_ADDRESS: '127.0.0.1',
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: port,
    POSTGRES_DB: database,
    POSTGRES_USER: role,
    POSTGRES_PASSWORD: role,
    POSTGRES_PASSWORD_FILE: undefined,
    POSTGRES_POOL_MAX: 10,
    POSTGRES_SSLMODE: 'disable',
    POSTGRES_SSLROOTCERT: undefined,
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

function schemaOf(name: string): string {
  return name.replaceAll('-', '_');
}

export async function migrateDatabase(name: string, environment: Config): Promise<void> {
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

/** Closes leaked connections too: mutation testing makes thousands. */
export async function dropDatabase(environment: Config): Promise<void> {
  // PostgreSQL cannot drop the database of the connection.
  const client = await connectAsSuperuser({ ...environment, POSTGRES_DB: 'postgres' });
  await client.query(`drop database ${environment.POSTGRES_DB} with (force)`);
  await client.end();
}

/** Connects to the database of a service outside its pool. */
export async function connectAsSuperuser(environment: Config): Promise<pg.Client> {
  const { POSTGRES_PORT: port, POSTGRES_DB: database } = environment;
  const client = new pg.Client({ host: '127.0.0.1', port, database, user: 'postgres', password: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** A line of the log. */
export interface LogLine {
  msg: string;
  level: number;
  requestId?: string;
  operation?: string;
  method?: string;
  /** Without the query string. */
  path?: string;
  status?: number;
  durationMs?: number;
  /** Present when the client disconnected before the end of the response. */
  aborted?: true;
  rejected?: number;
  /** The error that a failed request threw. */
  err?: { message: string };
}

/** A logger that collects its lines instead of writing them. */
export function captureLog(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  return {
    lines,
    logger: pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) }),
  };
}
