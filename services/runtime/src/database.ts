/** PostgreSQL: a pool of connections, and how its types become JSON types. */
import pg from 'pg';
import type { Logger } from 'pino';
import type { Environment } from './environment.ts';

/** SQL that could be pasted into psql, with a name under which PostgreSQL keeps it prepared. */
export interface Statement {
  name: string;
  text: string;
  values: unknown[];
}

/** Thrown when the database cannot do its work now, through no fault of the statement. Answered with 503. */
export class DatabaseUnavailable extends Error {}

export class Database {
  readonly pool: pg.Pool;
  /** Set once the tables are there; until then no statement is sent. */
  migrated = false;

  constructor(environment: Environment, logger: Logger) {
    this.pool = new pg.Pool({ ...connectionOf(environment), max: 10, idleTimeoutMillis: 0, query_timeout: timeoutMs });
    // The death of an idle connection harms nobody: the pool opens another. Unheard, the event would end the process.
    this.pool.on('error', (error) => {
      logger.debug({ err: error }, 'an idle connection was lost');
    });
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /**
   * Runs one statement; it is durable when the promise resolves.
   *
   * @throws {DatabaseUnavailable} when the database is away, starting, stopping or out of connections. Whether a change
   * was made is then not known: it is never retried here.
   * @throws {pg.DatabaseError} when the statement fails.
   */
  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    if (!this.migrated) throw new DatabaseUnavailable('The database is not ready yet.');
    const client = await this.pool.connect().catch(orUnavailable);
    let broken = true;
    try {
      const { rows } = await client.query<Row>(statement);
      broken = false;
      return rows;
    } catch (error) {
      // A statement that failed leaves its connection as good as before.
      broken = !(error instanceof pg.DatabaseError) || isUnavailable(error);
      return orUnavailable(error);
    } finally {
      client.release(broken);
    }
  }

  async end(): Promise<void> {
    await this.pool.end();
  }
}

/** The five characters by which PostgreSQL names an error (its manual, appendix A), if `error` is one of its own. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** How to connect, for `pg`. Times are in milliseconds. */
export function connectionOf(environment: Environment) {
  return {
    host: environment.POSTGRES_HOST,
    port: environment.POSTGRES_PORT,
    database: environment.POSTGRES_DB,
    user: environment.POSTGRES_USER,
    password: environment.POSTGRES_PASSWORD,
    ssl:
      environment.POSTGRES_SSLMODE === 'disable'
        ? false
        : { rejectUnauthorized: environment.POSTGRES_SSLMODE === 'verify-full' },
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    types,
  };
}

/** Twice this (to connect, then to run) is the longest that a request waits for the database. */
export const timeoutMs = 900;

function orUnavailable(error: unknown): never {
  if (error instanceof pg.DatabaseError && !isUnavailable(error)) throw error;
  throw new DatabaseUnavailable('The database cannot be reached.', { cause: error });
}

/**
 * Whether the database, not the statement, is at fault: connection exceptions (08), insufficient resources (53),
 * operator intervention (57, but for a cancelled query), a read-only standby (25006). Appendix A of PostgreSQL's manual.
 */
function isUnavailable({ code = '' }: pg.DatabaseError): boolean {
  return /^(08|53|57P)/.test(code) || code === '25006';
}

/** JSON has no dates: times are RFC 3339 strings in UTC, dates stay as PostgreSQL writes them. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => new Date(text).toISOString());
types.setTypeParser(pg.types.builtins.DATE, (text) => text);
