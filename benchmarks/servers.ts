/** The servers of a run: the product, its peers and the floors, each a process of its own. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { parse, stringify } from 'yaml';
import type { Postgres } from '@task-manager/dev/embedded-postgres';
import { commandOf } from '@task-manager/dev/system';
import { until } from '@task-manager/testing/until';

export const database = 'bench';
/** The repository: compiled files have another depth. */
const root = process.cwd();

export interface Server {
  /** One word that identifies its rows. */
  key: string;
  name: string;
  port: number;
  child: ChildProcess;
  pid: number;
  /** Whether it rejects invalid requests. */
  validates: boolean;
}

/** Starts servers, each on the CPU `cpu` if there is one, with their output in `folder`. */
export class Servers {
  readonly services: Server[] = [];
  /** The product again, behind the gateway: one replica and two. */
  readonly replicas: Server[] = [];
  readonly #folder: string;
  readonly #cpu: number | undefined;
  readonly #environment: Record<string, string>;
  readonly #users = createServer(answerFeed);
  readonly #children: ChildProcess[] = [];

  constructor(folder: string, cpu: number | undefined, postgres: Postgres) {
    this.#folder = folder;
    this.#cpu = cpu;
    this.#environment = {
      NODE_ENV: 'production',
      POSTGRES_HOST: postgres.host,
      POSTGRES_PORT: String(postgres.port),
      POSTGRES_DB: database,
      POSTGRES_USER: 'task_service',
      POSTGRES_PASSWORD: 'task_service',
    };
  }

  /** Starts the services that are compared. Resolves with what was left out, and why. */
  async startServices(): Promise<string[]> {
    const usersPort = await getPort();
    this.#users.listen(usersPort, '127.0.0.1');
    const users = { USER_SERVICE_URL: `http://127.0.0.1:${usersPort}` };
    const startProduct = async (
      key: string,
      name: string,
      environment: Record<string, string>,
      command = commandOf('task-service', root),
    ) => {
      const places = { ...users, METRICS_PORT: String(await getPort()) };
      return this.#start(key, name, [process.execPath, ...command], { ...places, ...environment });
    };
    // The first one creates the tables.
    this.services.push(await startProduct('product', 'task-service', {}));
    this.services.push(await startProduct('plain', 'task-service, no fast path', { FAST_PATH: 'false' }));
    const morePaths = await this.#withMorePaths(30);
    this.services.push(await startProduct('paths', 'task-service, 30 more paths', {}, morePaths));
    for (const count of [1, 2]) {
      const environment = { REPLICAS: String(count) };
      const name = `task-service, ${count} behind the gateway`;
      this.replicas.push(await startProduct(`gateway${count}`, name, environment, [peer('gateway.js')]));
    }
    for (const [key, name] of [
      ['fastify', 'Fastify + pg'],
      ['express', 'Express + EOV + pg'],
      ['http', 'node:http + pg'],
    ] as const) {
      const contract = { CONTRACT: 'generated/task-service.yaml' };
      this.services.push(await this.#start(key, name, [process.execPath, peer(`${key}.js`)], contract));
    }
    const goProgram = await this.#buildGo();
    if (goProgram.error) return [goProgram.error];
    this.services.push(await this.#start('go', 'Go + pgx', [goProgram.path], {}));
    return [];
  }

  /** Starts the server without a database; its page is as large as that of the first service. */
  async startFloors(): Promise<Server> {
    const page = await fetch(`http://127.0.0.1:${this.services[0]?.port}/tasks`);
    const environment = { PAGE_BYTES: String((await page.arrayBuffer()).byteLength) };
    return this.#start(
      'floors',
      'node:http, no database',
      [process.execPath, peer('floors.js')],
      environment,
      '/health',
    );
  }

  async stop(): Promise<void> {
    this.#users.close();
    this.#users.closeAllConnections();
    await Promise.all(
      this.#children.map(async (child) => {
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      }),
    );
  }

  async #start(
    key: string,
    name: string,
    command: string[],
    environment: Record<string, string>,
    readyPath = '/tasks',
  ): Promise<Server> {
    const port = await getPort();
    const [program = '', ...parameters] =
      this.#cpu === undefined ? command : ['taskset', '-c', String(this.#cpu), ...command];
    const log = join(this.#folder, `${key}.log`);
    const child = spawn(program, parameters, {
      // A file, because log collectors of containers do not slow down the writer.
      stdio: ['ignore', openSync(log, 'a'), 'inherit'],
      env: { PATH: process.env.PATH, ...this.#environment, ...environment, PORT: String(port) },
    });
    this.#children.push(child);
    const isStarted = async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}`);
      return isReady(`http://127.0.0.1:${port}${readyPath}`);
    };
    await until(isStarted, { what: `${name} starts`, intervalMs: 50 });
    return { key, name, port, child, pid: child.pid ?? 0, validates: key !== 'http' };
  }

  /** The command of a copy of the task service whose contract has more paths, all before its own. */
  async #withMorePaths(count: number): Promise<string[]> {
    const copy = join(this.#folder, 'paths');
    for (const folder of ['services/task-service', 'packages']) await mkdir(join(copy, folder), { recursive: true });
    const own = ['dist', 'migrations', 'node_modules'].map((name) => `services/task-service/${name}`);
    for (const place of ['node_modules', 'packages/runtime', ...own]) {
      await symlink(join(root, place), join(copy, place));
    }
    await cp(join(root, 'generated'), join(copy, 'generated'), { recursive: true });
    const file = join(copy, 'generated/task-service.yaml');
    const contract = parse(await readFile(file, 'utf8')) as { paths: Record<string, Record<string, object>> };
    const more = Array.from({ length: count }, (_, number) =>
      Object.entries(contract.paths).map(([path, item]) => [`/more-${number}${path}`, renamed(item, number)] as const),
    );
    contract.paths = { ...Object.fromEntries(more.flat().slice(0, count)), ...contract.paths };
    await writeFile(file, stringify(contract));
    // Otherwise the links lead back to the original contract.
    const flags = ['--preserve-symlinks', '--preserve-symlinks-main'];
    const command = commandOf('task-service', root).slice(0, -1);
    return [...command, ...flags, join(copy, 'services/task-service/dist/main.js')];
  }

  async #buildGo(): Promise<{ path: string; error?: string }> {
    const path = join(this.#folder, 'go-peer');
    try {
      await promisify(execFile)('go', ['build', '-o', path, '.'], { cwd: 'benchmarks/peers/go', timeout: 300_000 });
      return { path };
    } catch (error) {
      const { code, stderr } = error as { code?: string; stderr?: string };
      const reason =
        code === 'ENOENT' ? 'Go is not installed' : `it could not be built: ${stderr?.trim() ?? String(code)}`;
      return { path, error: `Go + pgx is not measured, because ${reason}.` };
    }
  }
}

/** Operation ids are unique in a contract. */
function renamed(item: Record<string, object>, number: number): Record<string, object> {
  return Object.fromEntries(
    Object.entries(item).map(([method, operation]) => {
      const { operationId } = operation as { operationId?: string };
      return [method, operationId ? { ...operation, operationId: `${operationId}${number}` } : operation];
    }),
  );
}

function peer(file: string): string {
  return new URL(`peers/${file}`, import.meta.url).pathname;
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.status === 200;
}

/** The feed of a user service without users. */
function answerFeed(req: IncomingMessage, res: ServerResponse): void {
  const waitSeconds = Number(new URL(req.url ?? '', 'http://localhost').searchParams.get('wait'));
  setTimeout(() => {
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({ items: [], nextCursor: null }));
  }, waitSeconds * 1000).unref();
}
