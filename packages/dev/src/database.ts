/** The database of `npm start`: the one that `POSTGRES_HOST` names, or else the embedded one, kept running. */
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './log.ts';
import { createDatabase, startPostgres } from './embedded-postgres.ts';

export interface Database {
  /** What a service needs in its environment to connect. */
  environmentOf: (service: string) => Record<string, string>;
  /** How to look into it, and where its data is. */
  description: string[];
  stop(): Promise<void>;
}

const name = 'task_manager';
const pauseMs = 500;

/** Throws when the embedded server cannot be started, with an Error of one line. */
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
  const keeping = (async () => {
    for (;;) {
      await postgres.closed;
      if (stopped.signal.aborted) return;
      say('PostgreSQL ended by itself: it is started again');
      postgres = await startAgain();
    }
  })();

  async function startAgain() {
    for (;;) {
      try {
        return await startPostgres({ ...options, port });
      } catch (error) {
        if (stopped.signal.aborted) throw error;
        // A server that was killed leaves processes that hold its memory for a moment.
        await sleep(pauseMs);
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
      `psql postgres://${user}:${password}@${host}:${port}/${name}${adopted ? '   (it was still running)' : ''}`,
      `data in ${dataDir}`,
    ],
    async stop() {
      stopped.abort();
      await postgres.stop();
      await keeping.catch(() => undefined);
    },
  };
}
