/** Listen, keep the database in sight, drain on SIGTERM. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import { connectionOf, serverLimits, type Database } from './postgres/database.ts';
import type { Environment } from './config.ts';
import type { Health } from './http/health.ts';
import type { Metrics } from './http/metrics.ts';
import { migrate, MigratedPast, type Migrations } from './postgres/migrate.ts';
import { socketsOf } from './http/slow.ts';

export interface Parts {
  /** What createService() made. */
  server: Server;
  db: Database;
  health: Health;
  metrics: Metrics;
  migrations: Migrations;
  environment: Environment;
  logger: Logger;
  /** What the service does besides answering, until the signal. Must not reject. */
  work?: (signal: AbortSignal) => Promise<void>;
}

/**
 * Runs a service until it is told to stop (SIGTERM or SIGINT; a second one ends it at once). It listens at once, is
 * ready when the database is there and migrated, and not ready whenever the database is away.
 */
export async function start(parts: Parts): Promise<void> {
  const { server, db, health, metrics, environment, logger } = parts;
  // From the first moment: process 1 of a container ignores a signal that nobody listens to.
  const stopped = stopSignal();
  const sockets = socketsOf(server);
  await listen(server, environment.PORT, 'PORT');
  await listen(metrics.server, environment.METRICS_PORT, 'METRICS_PORT');
  logger.info({ port: environment.PORT, metricsPort: environment.METRICS_PORT }, 'listening');

  const working = Promise.all([watchDatabase(parts, health.stopping), parts.work?.(health.stopping)]);
  await stopped;

  // The order matters: be seen as not ready; let the endpoints forget us; finish what has begun; and only then let go
  // of the database, which what has begun still needs.
  logger.info('stopping');
  health.stop();
  await sleep(environment.SHUTDOWN_DELAY_MS);
  const closed = once(server, 'close');
  server.close();
  // Node closes those that wait for another request, not those that were opened ahead of their first, as proxies do.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  const drained = await Promise.race([
    Promise.all([closed, working]),
    sleep(environment.SHUTDOWN_LIMIT_MS, 'late' as const),
  ]);
  if (drained === 'late') logger.warn({ connections: sockets.size }, 'stopping before all requests have their answers');
  // One that has fallen silent is not waited for: PostgreSQL ends by itself what it holds for us.
  await Promise.race([db.end(), sleep(1000)]);
  logger.info('stopped');
  process.exit();
}

async function listen(server: Server, port: number, variable: string): Promise<void> {
  server.listen(port);
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'is taken' : 'cannot be listened on';
    console.error(`${variable} ${port} ${reason}: stop what uses it, or set ${variable} to another port`);
    process.exit(1);
  }
}

/**
 * Looks at the database every second over a connection of its own, so that the answer does not wait in the queue of
 * requests, and every quarter of a second while it is away. Each look migrates what is missing, as in a database that was
 * made anew, and finds out whether a newer version has made the tables unusable.
 */
async function watchDatabase(
  { db, health, migrations, environment, logger }: Parts,
  signal: AbortSignal,
): Promise<void> {
  let lastCause = '';
  while (!isAborted(signal)) {
    // As the pool connects: what would refuse the pool must refuse this one too.
    const client = new pg.Client({ ...connectionOf(environment), ...serverLimits, application_name: 'health' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!isAborted(signal)) {
        await migrate(client, migrations, logger);
        db.migrated = true;
        if (!isAborted(signal) && health.reason !== undefined) {
          health.reason = undefined;
          lastCause = '';
          logger.info('ready');
        }
        await sleep(1000, undefined, { signal }).catch(() => undefined);
      }
    } catch (error) {
      if (error instanceof MigratedPast) db.migrated = false;
      if (!isAborted(signal)) lastCause = notReady(health, logger, error, lastCause);
      await sleep(250, undefined, { signal }).catch(() => undefined);
    }
    // Not waited for: one that has fallen silent never says that it has ended.
    client.end().catch(() => undefined);
  }
}

/** TypeScript believes that what it has seen once stays so. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Says why, once for each cause. */
function notReady(health: Health, logger: Logger, error: unknown, lastCause: string): string {
  health.reason = reasonOf(error);
  const cause = String(error);
  if (cause !== lastCause) logger.warn({ err: error }, 'not ready');
  return cause;
}

function reasonOf(error: unknown): string {
  if (error instanceof MigratedPast) return 'The database belongs to a newer version of the service.';
  // It was reached, and refused: a wrong password, a missing right, a migration that failed.
  if (error instanceof pg.DatabaseError) return 'The database cannot be used; the log says why.';
  return 'The database cannot be reached.';
}

async function stopSignal(): Promise<void> {
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1));
}
