/** PostgreSQL: a pool of connections, and how its types become JSON types. */
import pg from 'pg';
import type { Logger } from 'pino';
import type { Environment } from '../config.ts';
import { overloaded } from '../errors.ts';

/** SQL that could be pasted into psql. */
export interface Statement {
  /** Under which PostgreSQL keeps it prepared. Without one it is planned anew each time, for the values it has. */
  name?: string;
  text: string;
  values?: unknown[];
}

/** What statements are sent to: the database, a piece of work, or one transaction in it. */
export interface Queryable {
  /** The service's own. */
  schema: string;
  /**
   * Runs one statement. Outside a transaction it is durable when the promise resolves.
   *
   * @throws {DatabaseUnavailable} when the database is away, starting, stopping, out of connections or too slow. Whether a
   * change was made is then not known: it is never sent again here. Only what a deadlock or a serialization failure has
   * undone is, once.
   * @throws `overloaded` when too many wait for a connection already. Nothing was sent.
   * @throws {pg.DatabaseError} when the statement fails.
   */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
}

/** Thrown when the database cannot do its work now, through no fault of the statement. Answered with 503. */
export class DatabaseUnavailable extends Error {}

/** The pool. Each statement that is sent to it directly is a piece of work by itself. */
export class Database implements Queryable {
  readonly pool: pg.Pool;
  readonly schema: string;
  /** Set while the tables are there and this version can use them; otherwise no statement is sent. */
  migrated = false;

  constructor(environment: Environment, schema: string, logger: Logger) {
    this.schema = schema;
    this.pool = new pg.Pool({ ...connectionOf(environment), ...serverLimits, max: 10, idleTimeoutMillis: 0 });
    // The death of an idle connection harms nobody: the pool opens another. Unheard, the event would end the process.
    this.pool.on('error', (error) => {
      logger.debug({ err: error }, 'an idle connection was lost');
    });
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /**
   * A piece of work that is over, one way or the other, at the deadline (of `performance.now()`). Unless it has begun
   * elsewhere it is refused when too many wait for a connection.
   */
  work(deadline = performance.now() + workMs, begun = false): Work {
    return new Work(this, deadline, begun);
  }

  /** Whether so many wait for a connection that who needs one for themselves had better ask again later. */
  get crowded(): boolean {
    return this.pool.waitingCount >= waitingMax;
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    return this.work().query(statement);
  }

  /** As that of `Work`, but as long as it takes, for what nobody waits for: only its statements have a time limit each. */
  async transaction<Result>(run: (transaction: Queryable) => Promise<Result>): Promise<Result> {
    return this.work(Infinity, true).transaction(run);
  }

  async end(): Promise<void> {
    await this.pool.end();
  }
}

/**
 * What one request asks of the database: however many statements it takes, each that has no answer at the deadline fails,
 * and none is sent after it. So a request never waits longer than this, whatever has become of the database.
 */
export class Work implements Queryable {
  readonly database: Database;
  readonly schema: string;
  /** Of `performance.now()`, in milliseconds. */
  readonly deadline: number;
  /** What has begun is not refused any more. */
  #begun: boolean;

  constructor(database: Database, deadline: number, begun: boolean) {
    this.database = database;
    this.schema = database.schema;
    this.deadline = deadline;
    this.#begun = begun;
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    const connection = await this.#connect();
    try {
      return await connection.query<Row>(statement);
    } catch (error) {
      // It was a transaction by itself, undone for the sake of another: nothing of it was done.
      if (!wasUndone(error)) throw error;
      return await connection.query<Row>(statement);
    } finally {
      connection.release();
    }
  }

  /**
   * Runs a function in one transaction, begun with its first statement: all of it takes effect, durably, when the promise
   * resolves, and nothing when it throws.
   *
   * @throws as `query` does, and what the function throws. When the connection is lost while it commits, whether it took
   * effect is not known.
   */
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
    const { pool, migrated, crowded } = this.database;
    if (!migrated) throw new DatabaseUnavailable('The database is not ready yet.');
    if (!this.#begun && crowded) throw overloaded;
    this.#begun = true;
    try {
      return new Connection(await takeBy(this.deadline, pool), this.deadline);
    } catch (cause) {
      // Also when it was reached and refuses us: a password that has just been changed, a database that is gone.
      throw new DatabaseUnavailable('The database cannot be reached.', { cause });
    }
  }
}

/** A connection of the pool; one that comes too late goes back there. */
async function takeBy(deadline: number, pool: pg.Pool): Promise<pg.PoolClient> {
  const leftMs = deadline - performance.now();
  const coming = pool.connect();
  // The pool's own limit comes first.
  if (leftMs >= timeoutMs) return coming;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(reject, leftMs, new Error('there was no connection in time'));
  });
  try {
    return await Promise.race([coming, late]);
  } catch (error) {
    coming.then(
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

/** A connection of the pool, for one user at a time. */
class Connection {
  readonly #client: pg.PoolClient;
  readonly #deadline: number;
  /** Its state is not known: it is closed, not used again. */
  broken = false;

  constructor(client: pg.PoolClient, deadline: number) {
    this.#client = client;
    this.#deadline = deadline;
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    try {
      const leftMs = this.#deadline - performance.now();
      if (leftMs < 1) throw new Error('there was no time left for it');
      return (await this.#client.query<Row>(within(leftMs, statement))).rows;
    } catch (error) {
      this.broken ||= !leavesConnection(error);
      return orUnavailable(error);
    }
  }

  release(): void {
    this.#client.release(this.broken);
  }
}

/** A statement that the client gives up after the time, or after the usual one if that is shorter. */
export function within(limitMs: number, statement: Statement): pg.QueryConfig {
  // The types do not know this option of `pg`.
  return { ...statement, query_timeout: Math.min(limitMs, timeoutMs) } as pg.QueryConfig;
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
    // One whose other end is gone without a word is found out before a request is sent into it. The default is two hours.
    keepAliveInitialDelayMillis: 10_000,
    types,
  };
}

/** That many, each with a few statements, keep the connections at work for a few tenths of a second. */
const waitingMax = 250;

/** The longest that anybody waits for a connection, and the longest for a statement. */
export const timeoutMs = 900;

/** The longest that a request waits for all that it asks of the database; the rest of its 2 s is for a machine that is busy. */
const workMs = 1700;

/** What each connection asks the server to keep, as it is opened. */
export const serverLimits = {
  // The server gives up first, and so does not go on with what nobody waits for.
  statement_timeout: timeoutMs - 100,
  // A replica that hangs, or is cut off, must not hold its locks: no request takes longer.
  idle_in_transaction_session_timeout: 2000,
};

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

/**
 * Whether a statement that failed leaves its connection as good as before: not when PostgreSQL ends it with the error, and
 * not when it leads to a standby, for a new one may lead to the server that has taken its place.
 */
function leavesConnection(error: unknown): boolean {
  const code = sqlState(error);
  return code !== undefined && !/^(08|57P|25P03|25006)/.test(code);
}

/** Whether PostgreSQL has undone the transaction because it could not have both it and another: 40001 and 40P01. */
function wasUndone(error: unknown): boolean {
  const code = error instanceof DatabaseUnavailable ? sqlState(error.cause) : undefined;
  return code === '40001' || code === '40P01';
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
