/**
 * The system as it is deployed: two replicas of each service behind the gateway, on a throw-away PostgreSQL that each
 * replica reaches through a proxy of its own. Faults can be injected everywhere.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createDatabase, startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';
import { checkHealth, readRoutes, servicesOf, startGateway, type Gateway } from '@task-manager/dev/gateway';
import { root } from '@task-manager/dev/repository';
import { runReplica } from '@task-manager/dev/supervisor';
import { commandOf, findPort } from '@task-manager/dev/system';
import { openFaultProxy, type FaultProxy } from './fault-proxy.ts';
import { until } from './until.ts';

const database = 'task_manager';
const replicasPerService = 2;
/** On a busy machine a process takes seconds to start, and a PostgreSQL that was killed to recover. */
const recoveryTimeoutMs = 20_000;

export class SystemUnderTest {
  replicas: Replica[] = [];
  /** What must never happen: a replica that ends by itself or logs an error. */
  readonly incidents: string[] = [];
  #dataDir = '';
  #postgres!: Postgres;
  #gateway: Gateway | undefined;

  /** Resolves when everything is ready. When it fails, `close` still ends what has started. */
  async open(signal: AbortSignal): Promise<void> {
    this.#dataDir = await mkdtemp(join(tmpdir(), 'task-manager-chaos-'));
    // When root starts it, PostgreSQL runs as another user.
    await chmod(this.#dataDir, 0o755);
    const routes = readRoutes(await readFile(join(root, 'kubernetes/ingress.yaml'), 'utf8'));
    const services = servicesOf(routes);
    // A process restarts on its port: below the ephemeral ports, no connection takes it in the meantime.
    const firstPort = await findPort();
    this.#postgres = await startPostgres({ dataDir: this.#dataDir, port: firstPort });
    await createDatabase(this.#postgres, database, services);
    const names = services.flatMap((service) =>
      Array.from({ length: replicasPerService }, (_, index) => ({ service, name: `${service}-${index + 1}` })),
    );
    const places = names.map((name, index) => ({ ...name, port: firstPort + 1 + 2 * index }));
    this.#gateway = await startGateway({ port: 0, routes, replicas: places });
    for (const place of places) {
      const proxy = await openFaultProxy(this.#postgres.port);
      const environment = environmentOf(place.service, proxy.port, this.url);
      this.replicas.push(new Replica({ ...place, proxy }, environment, (text) => this.incidents.push(text)));
    }
    await this.recover(signal);
  }

  /** Of the gateway. */
  get url(): string {
    return `http://127.0.0.1:${this.#gateway?.port}`;
  }

  replicasOf(service: string): Replica[] {
    return this.replicas.filter((replica) => replica.service === service);
  }

  /** Resolves when every replica is ready, with the milliseconds until the first successful response of the slowest. */
  async recover(signal: AbortSignal): Promise<number> {
    const options = { signal, timeoutMs: recoveryTimeoutMs };
    const startedAt = performance.now();
    const recovering = this.replicas.map(async (replica) => {
      await until(() => replica.responds(), { ...options, what: `${replica.name} responds again` });
      const respondedAfterMs = performance.now() - startedAt;
      const isReady = async () => (await checkHealth(replica.port)) === 'ready';
      await until(isReady, { ...options, what: `${replica.name} is ready again` });
      return respondedAfterMs;
    });
    const times = await Promise.all(recovering);
    await until(() => this.#gateway?.ready() === true, { ...options, what: 'the gateway has ready replicas' });
    return Math.max(...times);
  }

  /** SIGQUIT is an immediate shutdown, SIGKILL an accident; PostgreSQL recovers from its log after both. */
  async endPostgres(signal: 'SIGQUIT' | 'SIGKILL'): Promise<void> {
    const [pid] = (await readFile(join(this.#postgres.dataDir, 'postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(pid), signal);
    await this.#postgres.closed;
  }

  /** Kills a process that serves a replica: PostgreSQL ends all others, and recovers. False when there was none. */
  async killBackend(): Promise<boolean> {
    const [backend] = await this.query<{ pid: number }>(
      `select pid from pg_stat_activity where usename like '%\\_service' order by random() limit 1`,
    );
    if (!backend || !sendSignal(backend.pid, 'SIGKILL')) return false;
    await this.#postgres.closed;
    return true;
  }

  /** Starts PostgreSQL after it has ended, or finds it when it has recovered by itself. */
  async startPostgres(): Promise<void> {
    const { port } = this.#postgres;
    let reason = '';
    const start = async () => {
      const postgres = await startPostgres({ dataDir: this.#dataDir, port }).catch((error: unknown) => {
        reason = String(error);
      });
      this.#postgres = postgres ?? this.#postgres;
      return postgres !== undefined;
    };
    // A server that was killed leaves processes that hold its memory for a moment.
    await until(start, { what: 'PostgreSQL starts', timeoutMs: recoveryTimeoutMs, intervalMs: 50 }).catch(() => {
      throw new Error(reason);
    });
  }

  /** The environment of a service that uses the database directly, without a proxy. */
  environmentOf(service: string): Record<string, string> {
    return environmentOf(service, this.#postgres.port, this.url);
  }

  /** Runs statements as the superuser, without a proxy. Resolves with the rows of the last. */
  async query<Row extends object>(...statements: string[]): Promise<Row[]> {
    const { host, port, user, password } = this.#postgres;
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
    await Promise.all(this.replicas.map((replica) => replica.close()));
    await (this.#postgres as Postgres | undefined)?.stop();
    if (this.#dataDir) await rm(this.#dataDir, { recursive: true, force: true });
  }
}

interface Place {
  name: string;
  service: string;
  port: number;
  /** Its connection to PostgreSQL. */
  proxy: FaultProxy;
}

export class Replica {
  readonly name: string;
  readonly service: string;
  readonly url: string;
  readonly port: number;
  readonly proxy: FaultProxy;
  readonly #process: ReturnType<typeof runReplica>;
  #isEnding = false;
  #endReason = '';

  constructor({ name, service, port, proxy }: Place, environment: object, report: (incident: string) => void) {
    this.name = name;
    this.service = service;
    this.url = `http://127.0.0.1:${port}`;
    this.port = port;
    this.proxy = proxy;
    this.#process = runReplica({
      command: commandOf(service),
      environment: {
        ...{ ...process.env, ...environment, PORT: String(port), METRICS_PORT: String(port + 1) },
        LISTEN_ADDRESS: '127.0.0.1',
        ...{ LOG_LEVEL: 'error', VALIDATE_RESPONSES: 'true' },
        // Until the gateway has noticed: it checks health every half second, and the machine is busy.
        SHUTDOWN_DELAY_MS: '1500',
      },
      print: (line) => {
        report(`${name} logged: ${line}`);
      },
      onEnd: (reason) => {
        this.#endReason = reason;
        if (!this.#isEnding) report(`${name} ended by itself (${reason})`);
      },
    });
  }

  signal(signal: NodeJS.Signals): void {
    sendSignal(this.#process.pid(), signal);
  }

  /** Resolves with `code 0`, or with the signal that ended it. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<string> {
    this.#isEnding = true;
    this.#endReason = '';
    this.signal(signal);
    const what = `${this.name} ends after ${signal}`;
    await until(() => this.#endReason !== '', { what, timeoutMs: 10_000, intervalMs: 5 });
    return this.#endReason;
  }

  async start(): Promise<void> {
    await this.#process.restart();
    this.#isEnding = false;
  }

  /** Whether it serves a request that needs the database. */
  async responds(): Promise<boolean> {
    const path = this.service === 'task-service' ? '/tasks?limit=1' : '/users?limit=1';
    const response = await fetch(this.url + path, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    await response?.body?.cancel().catch(() => undefined);
    return response?.ok === true;
  }

  async close(): Promise<void> {
    // A paused process does not receive the signal to end.
    this.signal('SIGCONT');
    await this.#process.stop();
    await this.proxy.close();
  }
}

/** False when the process has ended. */
function sendSignal(pid: number | undefined, signal: NodeJS.Signals): boolean {
  try {
    return pid !== undefined && process.kill(pid, signal);
  } catch {
    return false;
  }
}

function environmentOf(service: string, postgresPort: number, gatewayUrl: string): Record<string, string> {
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
