/** Runs a service: configuration, database, server, and an orderly shutdown. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CleanedEnv } from 'envalid';
import pg from 'pg';
import { readConfig, type Config, type Variables } from './config.ts';
import { readContract } from './contract/document.ts';
import { Health } from './http/health.ts';
import { createLogger, type Logger } from './http/log.ts';
import { createMetrics, type Metrics } from './http/metrics.ts';
import { socketsOf } from './http/server.ts';
import { checkServer } from './postgres/check-server.ts';
import { connectionOf, Database, timeoutMs } from './postgres/database.ts';
import { openEpoch } from './postgres/epoch.ts';
import { migrate, MigratedPast, runtimeMigrations, type Migrations } from './postgres/migrate.ts';
import { UnusableDatabase } from './postgres/session-settings.ts';
import { createService } from './service.ts';

export interface ServiceOptions<More extends Variables> {
  /** Also the name of its contract in `generated/`, and of its schema. */
  name: string;
  folder: URL;
  docs?: string;
  variables?: More;
  handlers: (parts: Parts<More>) => object;
  /** Background work until the signal. It must not reject. */
  background?: (parts: Parts<More>, signal: AbortSignal) => Promise<void>;
}

export interface Parts<More extends Variables> {
  config: Config & CleanedEnv<More>;
  db: Database;
  health: Health;
  logger: Logger;
}

/** Runs a service until SIGTERM or SIGINT; a second signal ends it at once. It is ready while the database is. */
export async function runService<More extends Variables>(options: ServiceOptions<More>): Promise<void> {
  const { name, folder, docs } = options;
  const generated = new URL('../../generated/', folder);
  const config = readConfig(process.env, options.variables ?? ({} as More));
  const logger = createLogger(name, config.LOG_LEVEL);
  const schema = name.replaceAll('-', '_');
  const db = new Database(config, schema, logger);
  const health = new Health();
  const metrics = createMetrics(db);
  const parts = { config, db, health, logger };
  const server = createService({
    contract: readContract(new URL(`${name}.yaml`, generated)),
    ...(docs && { docs: readContract(new URL(`${docs}.yaml`, generated)) }),
    handlers: options.handlers(parts),
    db,
    health,
    metrics,
    logger,
    validateResponses: config.VALIDATE_RESPONSES,
    corsOrigins: config.CORS_ORIGINS,
    fastPath: config.FAST_PATH,
    rateLimit: {
      requests: config.RATE_LIMIT,
      windowS: config.RATE_LIMIT_WINDOW_S,
      trustedProxies: config.TRUSTED_PROXIES,
    },
  });
  const migrations = [
    runtimeMigrations(schema),
    { folder: new URL('migrations/', folder), schema, table: 'migrations' },
  ];
  await serveUntilStopped(server, metrics, parts, () =>
    Promise.all([watchDatabase(parts, migrations), options.background?.(parts, health.stopping)]),
  );
}

async function serveUntilStopped(
  server: Server,
  metrics: Metrics,
  { config, db, health, logger }: Parts<Variables>,
  work: () => Promise<unknown>,
): Promise<void> {
  // First, because process 1 of a container ignores a signal without a listener.
  const stopSignal = nextStopSignal();
  const sockets = socketsOf(server);
  await listen(server, config, 'PORT');
  await listen(metrics.server, config, 'METRICS_PORT');
  logger.info({ port: config.PORT, metricsPort: config.METRICS_PORT }, 'listening');

  const working = work();
  await stopSignal;

  // The order matters: become unready, wait until the endpoints have removed the pod, finish the requests in progress, and
  // only then close the database, which these requests need.
  logger.info('stopping');
  health.stop();
  await sleep(config.SHUTDOWN_DELAY_MS);
  const closed = once(server, 'close');
  server.close();
  // Node closes idle connections, except those that a proxy has opened before its first request.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  const result = await Promise.race([
    Promise.all([closed, working]),
    sleep(config.SHUTDOWN_LIMIT_MS, 'timeout' as const),
  ]);
  if (result === 'timeout') logger.warn({ connections: sockets.size }, 'stopping with requests in progress');
  // A database that does not respond ends our sessions by itself.
  await Promise.race([db.end(), sleep(1000)]);
  logger.info('stopped');
  process.exit();
}

async function listen(server: Server, config: Config, variable: 'PORT' | 'METRICS_PORT'): Promise<void> {
  const port = config[variable];
  const host = config.LISTEN_ADDRESS;
  server.listen({ port, host });
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      EADDRINUSE: `${variable} ${port} is in use: stop the process that uses it, or set ${variable} to another port`,
      EADDRNOTAVAIL: `LISTEN_ADDRESS ${host} is not an address of this machine`,
    };
    console.error(reasons[code] ?? `${variable} ${port} cannot be used: ${message}`);
    process.exit(1);
  }
}

/** Checks the database on a connection outside the pool, so that readiness does not wait in its queue; migrates it. */
async function watchDatabase(
  { config, db, health, logger }: Parts<Variables>,
  migrations: Migrations[],
): Promise<void> {
  const signal = health.stopping;
  let lastCause = '';
  while (!isAborted(signal)) {
    // With the options of the pool: what rejects the pool must reject this connection too.
    const client = new pg.Client({ ...connectionOf(config), application_name: 'health' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!isAborted(signal)) {
        await checkServer(client);
        for (const each of migrations) await migrate(client, each, logger);
        await openEpoch(client, db.schema, timeoutMs);
        await db.abandoned.check(client);
        db.isMigrated = true;
        if (!isAborted(signal) && health.reason !== undefined) {
          health.reason = undefined;
          lastCause = '';
          logger.info('ready');
        }
        await sleep(1000, undefined, { signal }).catch(() => undefined);
      }
    } catch (error) {
      if (error instanceof MigratedPast || error instanceof UnusableDatabase) db.isMigrated = false;
      if (!isAborted(signal)) lastCause = setNotReady(health, logger, error, lastCause);
      await sleep(250, undefined, { signal }).catch(() => undefined);
    }
    client.end().catch(() => undefined);
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function setNotReady(health: Health, logger: Logger, error: unknown, lastCause: string): string {
  health.reason = reasonOf(error);
  const cause = String(error);
  if (cause !== lastCause) logger.warn({ err: error }, 'not ready');
  return cause;
}

function reasonOf(error: unknown): string {
  if (error instanceof UnusableDatabase) return error.reason;
  if (error instanceof MigratedPast) return 'The database belongs to a newer version of the service.';
  // The server has responded: a wrong password, a missing privilege, a failed migration.
  if (error instanceof pg.DatabaseError) return 'The database cannot be used. The log has the cause.';
  if (isUntrusted(error)) return 'The certificate of the database cannot be verified. The log has the cause.';
  return 'The database cannot be reached.';
}

function isUntrusted(error: unknown): boolean {
  return /CERT|SIGNATURE/.test(String((error as NodeJS.ErrnoException).code));
}

async function nextStopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1));
}
