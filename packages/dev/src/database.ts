/** The database of `npm start`: the server at `POSTGRES_HOST`, or an embedded one that is restarted when it ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './log.ts';
import { createDatabase, startPostgres } from './embedded-postgres.ts';

export interface Database {
  /** The environment variables with which a service connects. */
  environmentOf: (service: string) => Record<string, string>;
  /** A psql command and the data folder, a line each. */
  description: string[];
  stop(): Promise<void>;
}

const name = 'task_manager';
const restartDelayMs = 500;

/** Throws an Error of one line when the embedded server cannot start. */
export async function startDatabase(options: { dataDir: string; port: number; services: string[] }): Promise<Database> {
  const { POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER } = process.env;
  if (POSTGRES_HOST) {
    return {
      environmentOf: () => ({}),
      description: [
        `${POSTGRES_USER ?? ''}@${POSTGRES_HOST}:${POSTGRES_PORT ?? '5432'}/${POSTGRES_DB ?? ''} (POSTGRES_HOST is set)`,
      ],
      stop: async () => undefined,
    };
  }
  let postgres = await startPostgres(options);
  await createDatabase(postgres, name, options.services);
  const { host, port, user, password, dataDir, adopted } = postgres;

  const stopped = new AbortController();
  const supervising = (async () => {
    for (;;) {
      await postgres.closed;
      if (stopped.signal.aborted) return;
      say('PostgreSQL exited unexpectedly: restarting it');
      postgres = await restart();
    }
  })();

  async function restart() {
    for (;;) {
      try {
        return await startPostgres({ ...options, port });
      } catch (error) {
        if (stopped.signal.aborted) throw error;
        // The processes of a killed server hold its shared memory for a moment.
        await sleep(restartDelayMs);
      }
    }
  }

  return {
    environmentOf(service) {
      const role = service.replaceAll('-', '_');
      return {
        POSTGRES_HOST: host,
        POSTGRES_PORT: String(port),
        POSTGRES_DB: name,
        POSTGRES_USER: role,
        POSTGRES_PASSWORD: role,
        POSTGRES_SSLMODE: 'disable',
      };
    },
    description: [
      `psql postgres://${user}:${password}@${host}:${port}/${name}${adopted ? '   (was still running)' : ''}`,
      `data in ${dataDir}`,
    ],
    async stop() {
      stopped.abort();
      await postgres.stop();
      await supervising.catch(() => undefined);
    },
  };
}
