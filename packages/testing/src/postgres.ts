/** A PostgreSQL for one test file that can be stopped, killed, paused, and restarted on the same data and port. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startPostgres, type Postgres, type PostgresOptions } from '@task-manager/dev/embedded-postgres';
import { root } from '@task-manager/dev/repository';
import { until } from './until.ts';

interface Options {
  /** A major version that `.ci/run` has installed. By default the version under test. */
  version?: string;
  /** Lines of postgresql.conf. */
  settings?: string[];
}

export class TestPostgres {
  readonly #options: PostgresOptions;
  #server: Postgres;
  #paused: number[] = [];

  private constructor(options: PostgresOptions, server: Postgres) {
    this.#options = options;
    this.#server = server;
  }

  static async start({ version, settings = [] }: Options = {}): Promise<TestPostgres> {
    const dataDir = await mkdtemp(join(tmpdir(), 'task-manager-faults-'));
    // As root, PostgreSQL starts as another user, and that user reads the folder.
    await chmod(dataDir, 0o755);
    const options = { dataDir, settings, ...versionUnderTest(), ...(version && { version }) };
    return new TestPostgres(options, await startPostgres(options));
  }

  get port(): number {
    return this.#server.port;
  }

  /** Runs one statement as the superuser, on a new connection. */
  async query(text: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ ...this.#superuser, database });
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(text).finally(() => client.end());
    return rows;
  }

  /** Signals the postmaster (SIGINT is a fast stop, SIGQUIT an immediate one) and waits until all its processes exit. */
  async stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    const pids = await this.#pids();
    signalIfAlive(pids[0] as number, signal);
    await until(() => !pids.some(isAlive));
    await this.#server.closed;
  }

  async restart(): Promise<void> {
    this.#server = await startPostgres({ ...this.#options, port: this.port });
  }

  /** Copies the data of the stopped server. */
  async backUp(): Promise<void> {
    await promisify(execFile)('cp', ['-a', this.#server.dataDir, this.#backup]);
  }

  /** Starts the stopped server on the copy, as a standby that is promoted: the commits since then are lost. */
  async failOver(): Promise<void> {
    await rm(this.#server.dataDir, { recursive: true });
    await promisify(execFile)('cp', ['-a', this.#backup, this.#server.dataDir]);
    await writeFile(join(this.#server.dataDir, 'standby.signal'), '');
    await this.restart();
    await this.query('select pg_promote()');
  }

  /** Freezes every process, as a machine that has run out of memory does. */
  async pause(): Promise<void> {
    this.#paused = await this.#pids();
    for (const pid of this.#paused) signalIfAlive(pid, 'SIGSTOP');
  }

  resume(): void {
    for (const pid of this.#paused.splice(0)) signalIfAlive(pid, 'SIGCONT');
  }

  /** Waits until a connection succeeds, and returns the time of `performance.now()`. */
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
    await rm(this.#options.dataDir, { recursive: true, force: true });
  }

  get #backup(): string {
    return join(this.#options.dataDir, 'backup');
  }

  get #superuser() {
    const { host, port, user, password } = this.#server;
    return { host, port, user, password };
  }

  /** The postmaster first. */
  async #pids(): Promise<number[]> {
    const rows = await this.query('select pid from pg_stat_activity where pid <> pg_backend_pid()');
    const postmaster = parseInt(await readFile(join(this.#server.dataDir, 'postmaster.pid'), 'utf8'));
    return [postmaster, ...rows.map(({ pid }) => Number(pid))];
  }
}

/** That of `npm start`, or the major version in TEST_POSTGRES_VERSION. */
export function versionUnderTest(): { version?: string } {
  const version = process.env.TEST_POSTGRES_VERSION;
  return version ? { version } : {};
}

/** Whether another version is in `.tools/`. */
export function isInstalled(version: string): boolean {
  return existsSync(join(root, `.tools/postgres-${version}`));
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
