/** PostgreSQL: a pool of connections with bounded waiting, and its types as JSON types. */
import pg from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { overloaded } from '../errors.ts';

export interface Statement {
  /** The name of the prepared statement. Without one, PostgreSQL plans each execution for its values. */
  name?: string;
  text: string;
  values?: unknown[];
}

/** Runs statements: the pool, a session with a deadline, or a transaction. */
export interface Queryable {
  schema: string;
  /**
   * Outside a transaction a statement is durable when the promise resolves.
   * @throws {DatabaseUnavailable} A change may have been made: only deadlocks and serialization failures are retried.
   * @throws `overloaded` when too many requests wait for a connection; nothing was sent. {pg.DatabaseError} otherwise.
   */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
}

/** The database is the cause, not the statement. Becomes a 503. */
export class DatabaseUnavailable extends Error {}

/** The connection pool. Each statement sent to it directly has a session of its own. */
export class Database implements Queryable {
  readonly pool: pg.Pool;
  readonly schema: string;
  /** Whether this version of the service can use the tables; otherwise no statement is sent. */
  isMigrated = false;
  #open = 0;

  constructor(config: Config, schema: string, logger: Logger) {
    this.schema = schema;
    this.pool = new pg.Pool({ ...connectionOf(config), ...serverLimits, max: poolSize, idleTimeoutMillis: 0 });
    // The pool replaces a lost idle connection. Without a listener the event would end the process.
    this.pool.on('error', (error) => {
      logger.debug({ err: error }, 'an idle connection was lost');
    });
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    this.pool.on('connect', () => this.#open++).on('remove', () => this.#open--);
  }

  /** Queries with a common deadline (of `performance.now()`). One that has started is not rejected under overload. */
  session(deadline = performance.now() + sessionMs, hasStarted = false): Session {
    return new Session(this, deadline, hasStarted);
  }

  get isQueueFull(): boolean {
    return this.pool.waitingCount >= maxWaiting;
  }

  /** While the server rejects the password, because it was changed, requests share the connections that are open. */
  async connect(): Promise<pg.PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      if (sqlState(error) !== '28P01' || this.#open === 0) throw error;
      const { options } = this.pool;
      options.max = this.#open;
      setTimeout(() => (options.max = poolSize), 1000).unref();
      return this.connect();
    }
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    return this.session().query(statement);
  }

  async transaction<Result>(run: (transaction: Queryable) => Promise<Result>): Promise<Result> {
    return this.session(Infinity, true).transaction(run);
  }

  async end(): Promise<void> {
    await this.pool.end();
  }
}

/** The queries of one request. At the deadline a query in flight fails, and no other is sent: a request never waits longer. */
export class Session implements Queryable {
  readonly database: Database;
  readonly schema: string;
  readonly deadline: number;
  #hasStarted: boolean;

  constructor(database: Database, deadline: number, hasStarted: boolean) {
    this.database = database;
    this.schema = database.schema;
    this.deadline = deadline;
    this.#hasStarted = hasStarted;
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    const connection = await this.#connect();
    try {
      return await connection.query<Row>(statement);
    } catch (error) {
      // PostgreSQL has rolled the statement back: a retry is safe.
      if (!isConflict(error)) throw error;
      return await connection.query<Row>(statement);
    } finally {
      connection.release();
    }
  }

  /** Begins with the first statement. After a connection lost during the commit, it may have taken effect. */
  async transaction<Result>(run: (transaction: Queryable) => Promise<Result>): Promise<Result> {
    let begun: Promise<Connection> | undefined;
    try {
      const result = await run({
        schema: this.schema,
        query: async (statement) => (await (begun ??= this.#begin())).query(statement),
      });
      await (await begun)?.query({ text: 'commit' });
      return result;
    } catch (error) {
      const connection = await begun?.catch(() => undefined);
      if (connection?.isBroken === false) await connection.query({ text: 'rollback' }).catch(() => undefined);
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
    const { isMigrated, isQueueFull } = this.database;
    if (!isMigrated) throw new DatabaseUnavailable('The database is not ready yet.');
    if (!this.#hasStarted && isQueueFull) throw overloaded;
    this.#hasStarted = true;
    try {
      return new Connection(await takeBefore(this.deadline, this.database), this.deadline);
    } catch (cause) {
      throw new DatabaseUnavailable('The database cannot be reached.', { cause });
    }
  }
}

async function takeBefore(deadline: number, database: Database): Promise<pg.PoolClient> {
  const leftMs = deadline - performance.now();
  const connecting = database.connect();
  if (leftMs >= timeoutMs) return connecting;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(reject, leftMs, new Error('no connection before the deadline'));
  });
  try {
    return await Promise.race([connecting, timeout]);
  } catch (error) {
    connecting.then(
      (client) => {
        client.release();
      },
      () => undefined,
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

class Connection {
  readonly #client: pg.PoolClient;
  readonly #deadline: number;
  isBroken = false;

  constructor(client: pg.PoolClient, deadline: number) {
    this.#client = client;
    this.#deadline = deadline;
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    try {
      const leftMs = this.#deadline - performance.now();
      if (leftMs < 1) throw new Error('no time left before the deadline');
      return (await this.#client.query<Row>(withTimeout(leftMs, statement))).rows;
    } catch (error) {
      this.isBroken ||= !keepsConnection(error);
      return rethrow(error);
    }
  }

  release(): void {
    this.#client.release(this.isBroken);
  }
}

export function withTimeout(limitMs: number, statement: Statement): pg.QueryConfig {
  return { ...statement, query_timeout: Math.min(limitMs, timeoutMs) } as pg.QueryConfig;
}

/** The SQLSTATE of an error of PostgreSQL (its manual, appendix A), otherwise undefined. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

export function connectionOf(config: Config) {
  return {
    host: config.POSTGRES_HOST,
    port: config.POSTGRES_PORT,
    database: config.POSTGRES_DB,
    user: config.POSTGRES_USER,
    password: config.POSTGRES_PASSWORD,
    ssl:
      config.POSTGRES_SSLMODE === 'disable' ? false : { rejectUnauthorized: config.POSTGRES_SSLMODE === 'verify-full' },
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    // Detects a dead peer before a request is sent to it. The default is two hours.
    keepAliveInitialDelayMillis: 10_000,
    types,
  };
}

const poolSize = 10;
const maxWaiting = 250;

/** The longest wait for a connection, and for a statement. */
export const timeoutMs = 900;

/** The longest wait of a request for all its queries. The rest of its 2 s is for a busy machine. */
const sessionMs = 1700;

export const serverLimits = {
  // Shorter than the client's, so that the server stops work that no client waits for.
  statement_timeout: timeoutMs - 100,
  // A replica that hangs or is cut off must not keep its locks. No request takes longer.
  idle_in_transaction_session_timeout: 2000,
};

function rethrow(error: unknown): never {
  if (error instanceof pg.DatabaseError && !isUnavailable(error)) throw error;
  throw new DatabaseUnavailable('The database cannot be reached.', { cause: error });
}

/** Connection exceptions, rollbacks, insufficient resources, operator intervention, a standby, an idle transaction. */
function isUnavailable({ code = '' }: pg.DatabaseError): boolean {
  return /^(08|40|53|57)/.test(code) || code === '25006' || code === '25P03';
}

/** Whether a connection is usable after an error. One to a standby is closed, because a new one may lead to the primary. */
function keepsConnection(error: unknown): boolean {
  const code = sqlState(error);
  return code !== undefined && !/^(08|57P|25P03|25006)/.test(code);
}

/** A serialization failure (40001) or a deadlock (40P01). */
function isConflict(error: unknown): boolean {
  const code = error instanceof DatabaseUnavailable ? sqlState(error.cause) : undefined;
  return code === '40001' || code === '40P01';
}

const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, toTime);
types.setTypeParser(pg.types.builtins.DATE, (text) => text);

/** Most times arrive as `2026-11-23 09:30:00.123+00`. A Date would be a large part of the cost of reading a row. */
function toTime(text: string): string {
  if (text.length !== 26 || text[10] !== ' ' || !text.endsWith('+00')) return new Date(text).toISOString();
  return `${text.slice(0, 10)}T${text.slice(11, 23)}Z`;
}
