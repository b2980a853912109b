/** PostgreSQL: a pool of connections with bounded waiting, and its types as JSON types. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { overloaded } from '../errors.ts';
import { Abandoned, isTimeout, StatementSuspended } from './abandoned.ts';
import { openEpoch } from './epoch.ts';
import { beginOf, preparesStatements, setUpSession, statementTimeoutMs } from './session-settings.ts';

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
  readonly abandoned = new Abandoned(timeoutMs, statementTimeoutMs);
  readonly schema: string;
  /** Whether this version of the service can use the tables; otherwise no statement is sent. */
  isMigrated = false;
  readonly #maxConnections: number;
  readonly #open = new Set<pg.PoolClient>();

  constructor(config: Config, schema: string, logger: Logger) {
    this.schema = schema;
    this.#maxConnections = config.POSTGRES_POOL_MAX;
    this.pool = new pg.Pool({
      ...connectionOf(config),
      ...hooksOf(schema),
      max: this.#maxConnections,
      idleTimeoutMillis: 0,
    });
    // The pool replaces a lost idle connection. Without a listener the event would end the process.
    this.pool.on('error', (error) => {
      logger.debug({ err: error }, 'an idle connection was lost');
    });
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    // A set, because the pool may remove a connection twice.
    this.pool.on('connect', (client) => this.#open.add(client)).on('remove', (client) => this.#open.delete(client));
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
      if (sqlState(error) !== '28P01' || this.#open.size === 0) throw error;
      const { options } = this.pool;
      options.max = this.#open.size;
      setTimeout(() => (options.max = this.#maxConnections), 1000).unref();
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
      await connection.begin();
      return connection;
    } catch (error) {
      connection.release();
      throw error;
    }
  }

  async #connect(): Promise<Connection> {
    const { isMigrated, isQueueFull, abandoned } = this.database;
    if (!isMigrated) throw new DatabaseUnavailable('The database is not ready yet.');
    if (!this.#hasStarted && isQueueFull) throw overloaded;
    this.#hasStarted = true;
    try {
      return new Connection(await takeBefore(this.deadline, this.database), this.deadline, abandoned);
    } catch (cause) {
      const detail = isExhausted(cause) ? 'No connection to the database is free.' : 'The database cannot be reached.';
      throw new DatabaseUnavailable(detail, { cause });
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
  readonly #abandoned: Abandoned;
  #ending: Promise<void> | undefined;
  isBroken = false;

  constructor(client: pg.PoolClient, deadline: number, abandoned: Abandoned) {
    this.#client = client;
    this.#deadline = deadline;
    this.#abandoned = abandoned;
  }

  async begin(): Promise<void> {
    await this.query({ text: beginOf(this.#client) });
  }

  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    try {
      const leftMs = this.#deadline - performance.now();
      if (leftMs < 1) throw new Error('no time left before the deadline');
      const config = withTimeout(leftMs, statement);
      if (!preparesStatements(this.#client)) delete config.name;
      const { rows } = await this.#abandoned.guard(
        `${this.#client.getTransactionStatus()} ${statement.name ?? statement.text}`,
        () => this.#client.query<Row>(config),
      );
      return rows;
    } catch (error) {
      this.isBroken ||= !keepsConnection(error);
      if (isTimeout(error)) this.#ending ??= this.#abandoned.end(this.#client);
      return rethrow(error);
    }
  }

  release(): void {
    const release = () => {
      this.#client.release(this.isBroken);
    };
    // Until the server has ended the statement, the connection counts against the pool.
    if (this.#ending) void this.#ending.then(release);
    else release();
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
  const { POSTGRES_SSLMODE: sslmode, POSTGRES_SSLROOTCERT: ca, POSTGRES_PASSWORD_FILE: passwordFile } = config;
  return {
    host: config.POSTGRES_HOST,
    port: config.POSTGRES_PORT,
    database: config.POSTGRES_DB,
    user: config.POSTGRES_USER,
    // A function: each new connection reads the file again, so a rotated password needs no restart.
    password: passwordFile ? async () => (await readFile(passwordFile, 'utf8')).trimEnd() : config.POSTGRES_PASSWORD,
    ssl: sslmode === 'disable' ? false : { rejectUnauthorized: sslmode === 'verify-full', ...(ca && { ca }) },
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    // Detects a dead peer before a request is sent to it. The default is two hours.
    keepAliveInitialDelayMillis: 10_000,
    types,
  };
}

const maxWaiting = 250;

/** The longest wait for a connection, and for a statement. */
export const timeoutMs = 900;

/** The longest wait of a request for all its queries. The rest of its 2 s is for a busy machine. */
const sessionMs = 1700;

const setUpMs = sessionMs - timeoutMs - 100;

function hooksOf(schema: string) {
  return {
    async onConnect(client: pg.ClientBase): Promise<void> {
      const deadline = performance.now() + setUpMs;
      await setUpSession(client, setUpMs);
      await openEpoch(client, schema, deadline - performance.now());
    },
  };
}

function rethrow(error: unknown): never {
  if (isUnreadable(error) || (error instanceof pg.DatabaseError && !isUnavailable(error))) throw error;
  const detail = error instanceof StatementSuspended ? error.message : 'The database cannot be reached.';
  throw new DatabaseUnavailable(detail, { cause: error });
}

/** The driver cannot convert a value. Its errors about the connection have no class of their own. */
function isUnreadable(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
}

/** Connection exceptions, rollbacks, insufficient resources, operator intervention, a standby, timeouts, a changed pooler. */
function isUnavailable({ code = '' }: pg.DatabaseError): boolean {
  return /^(08|40|53|57|25006|25P0[34]|55P03|26000|42P05)/.test(code);
}

/** Whether all connections are in use: those of PostgreSQL (too_many_connections) or of the pool. */
function isExhausted(error: unknown): boolean {
  return sqlState(error) === '53300' || /^(timeout exceeded when|no connection before)/.test((error as Error).message);
}

/** Whether a connection is usable after an error. One to a standby is closed, because a new one may lead to the primary. */
function keepsConnection(error: unknown): boolean {
  const code = sqlState(error);
  return (
    error instanceof StatementSuspended || (code !== undefined && !/^(08|57P|25P0[34]|25006|26000|42P05)/.test(code))
  );
}

/** A serialization failure (40001) or a deadlock (40P01). */
function isConflict(error: unknown): boolean {
  const code = error instanceof DatabaseUnavailable ? sqlState(error.cause) : undefined;
  return code === '40001' || code === '40P01';
}

const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, toTime);
types.setTypeParser(pg.types.builtins.DATE, inIsoFormat);

/** Most times arrive as `2026-11-23 09:30:00.123+00`. A Date would be a large part of the cost of reading a row. */
function toTime(text: string): string {
  if (text.length !== 26 || text[10] !== ' ' || !text.endsWith('+00')) return new Date(inIsoFormat(text)).toISOString();
  return `${text.slice(0, 10)}T${text.slice(11, 23)}Z`;
}

function inIsoFormat(text: string): string {
  if (text[4] !== '-') throw new RangeError(`"${text}" is not a time in ISO format: DateStyle has changed`);
  return text;
}
