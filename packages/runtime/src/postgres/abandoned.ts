/** Statements that ran out of time here, while the server goes on: a commit that waits for a standby, for example (decision 019). */
import pg from 'pg';

export class StatementSuspended extends Error {}

interface Backend extends pg.PoolClient {
  processID: number;
  secretKey: number;
}

interface CancelConnection extends pg.Connection {
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
}

export class Abandoned {
  readonly #backends = new Set<Backend>();
  readonly #isTried = new Map<string, boolean>();
  readonly #timeoutMs: number;
  readonly #serverTimeoutMs: number;

  constructor(timeoutMs: number, serverTimeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#serverTimeoutMs = serverTimeoutMs;
  }

  /** After it outlived the server's own timeout, a statement is sent one at a time until it ends: more would take the pool. */
  async guard<Result>(statement: string, send: () => Promise<Result>): Promise<Result> {
    const isTried = this.#isTried.get(statement);
    if (isTried) throw new StatementSuspended('The database does not end this statement in time.');
    const isTrial = isTried === false;
    if (isTrial) this.#isTried.set(statement, true);
    const startedAt = performance.now();
    let outlived = false;
    try {
      return await send();
    } catch (error) {
      outlived = isTimeout(error) && (isTrial || performance.now() - startedAt >= this.#serverTimeoutMs);
      throw error;
    } finally {
      if (isTrial) this.#isTried.delete(statement);
      if (outlived && !this.#isTried.has(statement)) this.#isTried.set(statement, false);
    }
  }

  /** Cancels the statement of a connection, and closes it. Resolves when the server has ended both. */
  async end(client: pg.PoolClient): Promise<void> {
    const backend = client as Backend;
    this.#backends.add(backend);
    this.#cancel(backend);
    await new Promise<void>((resolve) => backend.once('drain', resolve).once('end', resolve));
    await backend.end();
    this.#backends.delete(backend);
  }

  /** Cancels again what still runs, and closes connections that were cut. `client` is outside the pool. */
  async check(client: pg.Client): Promise<void> {
    if (this.#backends.size === 0) return;
    const query: pg.QueryConfig & { query_timeout: number } = {
      text: `select pid from pg_stat_activity where pid = any ($1) and state not like 'idle%'`,
      values: [[...this.#backends].map(({ processID }) => processID)],
      query_timeout: this.#timeoutMs,
    };
    const { rows } = await client.query<{ pid: number }>(query);
    const running = new Set(rows.map(({ pid }) => pid));
    for (const backend of this.#backends) {
      if (running.has(backend.processID)) this.#cancel(backend);
      else void backend.end();
    }
  }

  /** PostgreSQL's CancelRequest (its manual, 54.2.8) takes no place among the sessions of the server. */
  #cancel({ host, port, ssl, processID, secretKey }: Backend): void {
    const connection = new pg.Connection({ ssl }) as CancelConnection;
    const cancel = () => {
      connection.cancel(processID, secretKey);
    };
    const timer = setTimeout(() => connection.stream.destroy(), this.#timeoutMs);
    connection.on('error', () => undefined);
    connection.on('end', () => {
      clearTimeout(timer);
    });
    connection.on('sslconnect', cancel);
    connection.on('connect', () => {
      if (ssl) connection.requestSsl();
      else cancel();
    });
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  }
}

/** Whether pg stopped waiting: the statement may still run. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}
