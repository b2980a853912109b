/** PostgreSQL: a pool of connections, and how its types become JSON types. */
import pg from 'pg';
import type { Logger } from 'pino';
import type { Environment } from './environment.ts';

/** SQL that could be pasted into psql. */
export interface Statement {
  /** Under which PostgreSQL keeps it prepared. Without one it is planned anew each time, for the values it has. */
  name?: string;
  text: string;
  values?: unknown[];
}

/** What statements are sent to: the database, or one transaction in it. */
export interface Queryable {
  /** The service's own. */
  schema: string;
  /**
   * Runs one statement. Outside a transaction it is durable when the promise resolves.
   *
   * @throws {DatabaseUnavailable} when the database is away, starting, stopping or out of connections. Whether a change
   * was made is then not known: it is never retried here.
   * @throws {pg.DatabaseError} when the statement fails.
   */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
}

/** Thrown when the database cannot do its work now, through no fault of the statement. Answered with 503. */
export class DatabaseUnavailable extends Error {}

export class Database implements Queryable {
  readonly pool: pg.Pool;
  readonly schema: string;
  /** Set once the tables are there; until then no statement is sent. */
  migrated = false;

  constructor(environment: Environment, schema: string, logger: Logger) {
    this.schema = schema;
    this.pool = new pg.Pool({
      ...connectionOf(environment),
      max: 10,
      idleTimeoutMillis: 0,
      query_timeout: timeoutMs,
      // The server gives up first, and so does not go on with what nobody waits for.
      statement_timeout: timeoutMs - 100,
      // A replica that hangs must not hold its locks.
      idle_in_transaction_session_timeout: 5000,
    });
    // The death of an idle connection harms nobody: the pool opens another. Unheard, the event would end the process.
    this.pool.on('error', (error) => {
      logger.debug({ err: error }, 'an idle connection was lost');
    });
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    const connection = await this.#connect();
    try {
      return await connection.query<Row>(statement);
    } finally {
      connection.release();
    }
  }

  /**
   * Runs `work` in one transaction, begun with its first statement: all of it takes effect, durably, when the promise
   * resolves, and nothing when `work` throws.
   *
   * @throws as `query` does, and what `work` throws. When the connection is lost while it commits, whether it took effect
   * is not known.
   */
  async transaction<Result>(work: (transaction: Queryable) => Promise<Result>): Promise<Result> {
    let begun: Promise<Connection> | undefined;
    try {
      const result = await work({
        schema: this.schema,
        query: async (statement) => (await (begun ??= this.#begin())).query(statement),
      });
      await (await begun)?.query({ text: 'commit' });
      return result;
    } catch (error) {
      // One that is broken has no transaction any more.
      const connection = await begun?.catch(() => undefined);
      if (connection?.broken === false) await connection.query({ text: 'rollback' }).catch(() => undefined);
      throw error;
    } finally {
      (await begun?.catch(() => undefined))?.release();
    }
  }

  async #begin(): Promise<Connection> {
    const connection = await this.#connect();
    try {
      await connection.query({ text: 'begin' });
      return connection;
    } catch (error) {
      connection.release();
      throw error;
    }
  }

  async #connect(): Promise<Connection> {
    if (!this.migrated) throw new DatabaseUnavailable('The database is not ready yet.');
    try {
      return new Connection(await this.pool.connect());
    } catch (cause) {
      // Also when it was reached and refuses us: a password that has just been changed, a database that is gone.
      throw new DatabaseUnavailable('The database cannot be reached.', { cause });
    }
  }

  async end(): Promise<void> {
    await this.pool.end();
  }
}

/** A connection of the pool, for one user at a time. */
class Connection {
  readonly #client: pg.PoolClient;
  /** Its state is not known: it is closed, not used again. */
  broken = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    try {
      return (await this.#client.query<Row>(statement)).rows;
    } catch (error) {
      // A statement that failed leaves its connection as good as before.
      this.broken = !(error instanceof pg.DatabaseError) || isUnavailable(error);
      return orUnavailable(error);
    }
  }

  release(): void {
    this.#client.release(this.broken);
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
 * Whether the database, not the statement, is at fault: connection exceptions (08), deadlocks and other rolled back
 * transactions (40), insufficient resources (53), operator intervention and time limits (57), a read-only standby (25006),
 * a transaction that was idle too long (25P03). Appendix A of PostgreSQL's manual.
 */
function isUnavailable({ code = '' }: pg.DatabaseError): boolean {
  return /^(08|40|53|57)/.test(code) || code === '25006' || code === '25P03';
}

/** JSON has no dates: times are RFC 3339 strings in UTC, dates stay as PostgreSQL writes them. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, toTime);
types.setTypeParser(pg.types.builtins.DATE, (text) => text);

/** Most come as `2026-11-23 09:30:00.123+00`: to go by way of a Date is a good part of the cost of reading a row. */
function toTime(text: string): string {
  if (text.length !== 26 || text[10] !== ' ' || !text.endsWith('+00')) return new Date(text).toISOString();
  return `${text.slice(0, 10)}T${text.slice(11, 23)}Z`;
}
