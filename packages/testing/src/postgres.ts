/** A PostgreSQL of a test's own, to be mistreated: stopped, killed, paused, and started again on the same data and port. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';
import { until } from './processes.ts';

export class TestPostgres {
  readonly #dataDir: string;
  #server: Postgres;
  #paused: number[] = [];

  private constructor(dataDir: string, server: Postgres) {
    this.#dataDir = dataDir;
    this.#server = server;
  }

  static async start(): Promise<TestPostgres> {
    const dataDir = await mkdtemp(join(tmpdir(), 'task-manager-faults-'));
    // Started by root, PostgreSQL runs as another user.
    await chmod(dataDir, 0o755);
    return new TestPostgres(dataDir, await startPostgres({ dataDir }));
  }

  get port(): number {
    return this.#server.port;
  }

  /** Runs one statement as the superuser, over a connection of its own. */
  async query(text: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ ...this.#superuser, database });
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(text).finally(() => client.end());
    return rows;
  }

  /** Sends its first process a signal (SIGINT is a fast stop, SIGQUIT an immediate one) and waits until it is gone. */
  async stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    const pids = await this.#pids();
    signalIfAlive(pids[0] as number, signal);
    await until(() => !pids.some(isAlive));
    await this.#server.closed;
  }

  async restart(): Promise<void> {
    this.#server = await startPostgres({ dataDir: this.#dataDir, port: this.port });
  }

  /** Stops every process of it, as a machine does that has no memory left. */
  async pause(): Promise<void> {
    this.#paused = await this.#pids();
    for (const pid of this.#paused) signalIfAlive(pid, 'SIGSTOP');
  }

  resume(): void {
    for (const pid of this.#paused.splice(0)) signalIfAlive(pid, 'SIGCONT');
  }

  /** When it next accepts a connection, of `performance.now()`. */
  async untilAccepting(): Promise<number> {
    let acceptedAt = 0;
    await until(async () => {
      const client = new pg.Client({ ...this.#superuser, database: 'postgres', connectionTimeoutMillis: 500 });
      client.on('error', () => undefined);
      const isAccepted = await client.connect().then(
        () => true,
        () => false,
      );
      acceptedAt = performance.now();
      void client.end();
      return isAccepted;
    });
    return acceptedAt;
  }

  async remove(): Promise<void> {
    this.resume();
    await this.#server.stop();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  get #superuser() {
    const { host, port, user, password } = this.#server;
    return { host, port, user, password };
  }

  /** Of all its processes, the first of them first. */
  async #pids(): Promise<number[]> {
    const rows = await this.query('select pid from pg_stat_activity where pid <> pg_backend_pid()');
    const first = parseInt(await readFile(join(this.#server.dataDir, 'postmaster.pid'), 'utf8'));
    return [first, ...rows.map(({ pid }) => Number(pid))];
  }
}

function isAlive(pid: number): boolean {
  return signalIfAlive(pid, 0);
}

function signalIfAlive(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
