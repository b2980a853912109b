/**
 * Where the chaos takes place: the system as it is deployed, two replicas of each service behind the gateway, on a
 * throw-away PostgreSQL that each replica reaches through a proxy of its own. Everything in it can be struck.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { openFaultProxy, type FaultProxy } from '@task-manager/testing/fault-proxy';
import { checkHealth, readRoutes, servicesOf, startGateway, type Gateway } from '@task-manager/dev/gateway';
import { createDatabase, startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';
import { runReplica, type Replica } from '@task-manager/dev/supervisor';
import { root } from '@task-manager/dev/repository';
import { commandOf, findPort } from '@task-manager/dev/system';

const database = 'task_manager';
const replicasPerService = 2;
/** On a busy machine a process takes seconds to start, and a PostgreSQL that was killed to recover. */
const recoveryTimeoutMs = 20_000;
const endTimeoutMs = 10_000;

export class Stage {
  replicas: StagedReplica[] = [];
  /** What must never be: a replica that ends by itself or logs an error. */
  readonly troubles: string[] = [];
  readonly #beganMs = performance.now();
  #dataDir: string | undefined;
  #postgres: Postgres | undefined;
  #gateway: Gateway | undefined;
  #proxies: FaultProxy[] = [];

  /** Milliseconds since the stage was made. */
  now(): number {
    return performance.now() - this.#beganMs;
  }

  /** Resolves when everything answers. Whatever becomes of it, `close` ends what has begun. */
  async open(stopped: AbortSignal): Promise<void> {
    this.#dataDir = await mkdtemp(join(tmpdir(), 'task-manager-chaos-'));
    // Started by root, PostgreSQL runs as another user.
    await chmod(this.#dataDir, 0o755);
    const routes = readRoutes(await readFile(join(root, 'kubernetes/ingress.yaml'), 'utf8'));
    const services = servicesOf(routes);
    // What is killed starts again at its port: none of them may be given to a connection meanwhile.
    const firstPort = await findPort();
    this.#postgres = await startPostgres({ dataDir: this.#dataDir, port: firstPort });
    await createDatabase(this.#postgres, database, services);
    const places: Place[] = [];
    for (const service of services) {
      for (let number = 1; number <= replicasPerService; number++) {
        const proxy = await openFaultProxy(this.#postgres.port);
        this.#proxies.push(proxy);
        const port = firstPort + 1 + 2 * places.length;
        places.push({ name: `${service}-${number}`, service, port, metricsPort: port + 1, proxy });
      }
    }
    this.#gateway = await startGateway({ port: 0, routes, replicas: places });
    this.replicas = places.map((place) => new StagedReplica(place, this.url, (trouble) => this.troubles.push(trouble)));
    await this.recover(stopped);
  }

  /** Of the gateway. */
  get url(): string {
    return `http://127.0.0.1:${this.#gateway?.port}`;
  }

  /**
   * Resolves when each replica answers well and is seen to be ready, with the milliseconds until the slowest of them gave
   * its first good answer. Rejects when one does not in time.
   */
  async recover(stopped: AbortSignal): Promise<number> {
    const since = this.now();
    const waiting = this.replicas.map(async (replica) => {
      await until(() => replica.answers(), `${replica.name} answers again`, stopped);
      const answeredAfter = this.now() - since;
      await until(() => replica.isReady(), `${replica.name} is ready again`, stopped);
      return answeredAfter;
    });
    const times = await Promise.all(waiting);
    await until(() => this.#gateway?.ready() === true, 'the gateway sees a ready replica of each service', stopped);
    return Math.max(...times);
  }

  /** Ends PostgreSQL without a word to anybody: SIGQUIT is its immediate shutdown, SIGKILL is an accident. */
  async endPostgres(signal: 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    const { dataDir, closed } = this.#postgres as Postgres;
    const [pid] = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(pid), signal);
    await closed;
  }

  /**
   * Kills one of the processes that serve a replica; PostgreSQL ends all the others then, and recovers by itself. Resolves
   * with false when there was none.
   */
  async killBackend(): Promise<boolean> {
    const { closed } = this.#postgres as Postgres;
    const [backend] = await this.query<{ pid: number }>(
      `select pid from pg_stat_activity where usename like '%\\_service' order by random() limit 1`,
    );
    if (!backend) return false;
    try {
      process.kill(backend.pid, 'SIGKILL');
    } catch {
      // Its connection was closed in the meantime.
      return false;
    }
    await closed;
    return true;
  }

  /** Starts PostgreSQL after it has ended, or finds the one that has recovered. */
  async startPostgresAgain(): Promise<void> {
    const { port } = this.#postgres as Postgres;
    const deadline = Date.now() + recoveryTimeoutMs;
    for (;;) {
      try {
        this.#postgres = await startPostgres({ dataDir: this.#dataDir as string, port });
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        // A server that was killed leaves processes that hold its memory for a moment.
        await sleep(50);
      }
    }
  }

  /** What a service needs in its environment to use the same database, past the proxies. */
  environmentOf(service: string): Record<string, string> {
    return environmentAt((this.#postgres as Postgres).port, service, this.url);
  }

  /** As the superuser, past the proxies. */
  async query<Row extends object>(...statements: string[]): Promise<Row[]> {
    const { host, port, user, password } = this.#postgres as Postgres;
    const client = new pg.Client({ host, port, user, password, database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      let rows: Row[] = [];
      for (const statement of statements) ({ rows } = await client.query<Row>(statement));
      return rows;
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    await this.#gateway?.close();
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    await this.#postgres?.stop();
    if (this.#dataDir) await rm(this.#dataDir, { recursive: true, force: true });
  }
}

interface Place {
  name: string;
  service: string;
  port: number;
  metricsPort: number;
  /** Its way to PostgreSQL. */
  proxy: FaultProxy;
}

export class StagedReplica {
  readonly name: string;
  readonly service: string;
  readonly url: string;
  readonly proxy: FaultProxy;
  readonly #port: number;
  readonly #replica: Replica;
  /** Told the reason when it ends, if somebody has ended it. */
  #onEnd: ((reason: string) => void) | undefined;

  constructor({ name, service, port, metricsPort, proxy }: Place, gatewayUrl: string, report: (text: string) => void) {
    this.name = name;
    this.service = service;
    this.url = `http://127.0.0.1:${port}`;
    this.proxy = proxy;
    this.#port = port;
    this.#replica = runReplica({
      command: commandOf(service),
      environment: {
        ...process.env,
        ...environmentAt(proxy.port, service, gatewayUrl),
        ...{ PORT: String(port), METRICS_PORT: String(metricsPort) },
        ...{ LOG_LEVEL: 'error', VALIDATE_RESPONSES: 'true' },
        // Until the gateway has noticed that it is about to go: it looks every half second, on a machine that is busy here.
        SHUTDOWN_DELAY_MS: '1500',
      },
      print: (line) => {
        report(`${name} wrote: ${line}`);
      },
      onEnd: (reason) => {
        if (this.#onEnd) this.#onEnd(reason);
        else report(`${name} ended by itself (${reason})`);
      },
    });
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.#replica.pid() as number, signal);
  }

  /** Resolves with the reason why it has ended: `code 0`, or the signal. Rejects when it goes on. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<string> {
    const ended = new Promise<string>((resolve, reject) => {
      const limit = setTimeout(() => {
        reject(new Broken(`${this.name} goes on ${endTimeoutMs / 1000} s after ${signal}`));
      }, endTimeoutMs);
      this.#onEnd = (reason) => {
        clearTimeout(limit);
        resolve(reason);
      };
    });
    this.signal(signal);
    return await ended;
  }

  async startAgain(): Promise<void> {
    await this.#replica.restart();
    this.#onEnd = undefined;
  }

  /** Whether it can do what needs the database. */
  async answers(): Promise<boolean> {
    const path = this.service === 'task-service' ? '/tasks?limit=1' : '/users?limit=1';
    const answer = await fetch(this.url + path, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    await answer?.body?.cancel().catch(() => undefined);
    return answer?.ok === true;
  }

  async isReady(): Promise<boolean> {
    return (await checkHealth(this.#port)) === 'ready';
  }

  async stop(): Promise<void> {
    // One that was stopped midway would not hear that it is to end.
    if (this.#replica.pid() !== undefined) this.#resume();
    await this.#replica.stop();
  }

  #resume(): void {
    try {
      this.signal('SIGCONT');
    } catch {
      // It has ended already.
    }
  }
}

function environmentAt(postgresPort: number, service: string, gatewayUrl: string): Record<string, string> {
  const role = service.replaceAll('-', '_');
  return {
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(postgresPort),
    POSTGRES_DB: database,
    POSTGRES_USER: role,
    POSTGRES_PASSWORD: role,
    POSTGRES_SSLMODE: 'disable',
    USER_SERVICE_URL: `${gatewayUrl}/user`,
  };
}

/** Resolves when the condition has come true. Rejects with an Error that says what did not happen in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  stopped: AbortSignal,
  timeoutMs = recoveryTimeoutMs,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Broken(`within ${timeoutMs / 1000} s it is not so that ${what}`);
    await sleep(20, undefined, { signal: stopped });
  }
}

/** The system as a whole has not done what it must: come back, end, or get something done by itself. */
export class Broken extends Error {}
