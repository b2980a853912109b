import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { until } from '@task-manager/testing/until';
import { createDatabase, startPostgres, type Postgres } from '../src/embedded-postgres.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'task-manager-postgres-'));
  // Started by root, PostgreSQL runs as another user.
  await chmod(folder, 0o755);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe('startPostgres', () => {
  let dataDir: string;
  let postgres: Postgres;
  beforeAll(async () => {
    dataDir = join(folder, 'data');
    postgres = await startPostgres({ dataDir });
    await query(postgres, 'create table kept (word text)');
    await query(postgres, `insert into kept values ('Grüße 🙂')`);
  });
  afterAll(async () => {
    await postgres.stop();
  });

  it('starts a durable UTF-8 server that listens on 127.0.0.1 only', async () => {
    const settings = `select name, setting from pg_settings where name in
      ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories', 'server_encoding')`;
    expect(Object.fromEntries((await query(postgres, settings)).map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      server_encoding: 'UTF8',
    });
  });

  it('rejects a connection when the password is wrong', async () => {
    const client = new pg.Client({ ...postgres, database: 'postgres', password: 'wrong' });
    await expect(client.connect()).rejects.toThrow('password authentication failed');
  });

  it('throws when another process uses the data folder', async () => {
    await expect(startPostgres({ dataDir })).rejects.toThrow(
      `another npm start is using the data folder ${dataDir}: stop it, or set DATA_DIR to another folder`,
    );
  });

  it('keeps the data when it is stopped and started', async () => {
    await postgres.stop();
    await postgres.closed;
    postgres = await startPostgres({ dataDir });
    expect(postgres.adopted).toBe(false);
    expect(await query(postgres, 'select * from kept')).toEqual([{ word: 'Grüße 🙂' }]);
  });

  it('adopts the running server when its launcher was killed', async () => {
    await postgres.stop();
    const port = await startFromKilledLauncher(dataDir);
    postgres = await startPostgres({ dataDir });
    expect(postgres).toMatchObject({ adopted: true, port });
    expect(await query(postgres, 'select * from kept')).toEqual([{ word: 'Grüße 🙂' }]);
  });

  it('restarts on the same port without data loss when the server was killed', async () => {
    const { port } = postgres;
    const [pid] = (await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n');
    await query(postgres, `insert into kept values ('acknowledged')`);
    process.kill(Number(pid), 'SIGKILL');
    await postgres.closed;
    // The processes of a killed server hold its shared memory for a moment.
    await until(() =>
      startPostgres({ dataDir, port }).then(
        (restarted) => Boolean((postgres = restarted)),
        () => false,
      ),
    );
    expect(postgres).toMatchObject({ adopted: false, port });
    expect(await query(postgres, 'select * from kept')).toContainEqual({ word: 'acknowledged' });
  });

  it('removes the leftovers of an interrupted initdb', async () => {
    await postgres.stop();
    await mkdir(join(dataDir, 'initdb-abc/postgres'), { recursive: true });
    postgres = await startPostgres({ dataDir });
    expect(await readdir(dataDir)).toEqual(['postgres']);
  });

  it('throws when its port is taken', async () => {
    const other = startPostgres({ dataDir: join(folder, 'other'), port: postgres.port });
    await expect(other).rejects.toThrow(
      /^PostgreSQL cannot start in .*other.*socket.*: see .*server\.log, or set DATA_DIR/,
    );
  });
});

describe('startPostgres on an unusable data folder', () => {
  it('throws when the folder has no PostgreSQL data', async () => {
    const dataDir = join(folder, 'foreign');
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await expect(startPostgres({ dataDir })).rejects.toThrow(
      `${dataDir}/postgres is not a PostgreSQL data folder: remove it to start with an empty database, or set DATA_DIR`,
    );
  });

  it('throws when the data is from an unknown PostgreSQL version', async () => {
    const dataDir = join(folder, 'old');
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await writeFile(join(dataDir, 'postgres/PG_VERSION'), '15\n');
    await expect(startPostgres({ dataDir })).rejects.toThrow(
      'is from PostgreSQL 15, not 18: set DATA_DIR to another folder',
    );
  });

  it('throws when the path is a file', async () => {
    const dataDir = join(folder, 'file');
    await writeFile(dataDir, '');
    await expect(startPostgres({ dataDir })).rejects.toThrow(
      /^cannot use the data folder .*file \(EEXIST.*\): set DATA_DIR/,
    );
  });

  it('throws when the data is damaged', async () => {
    const dataDir = join(folder, 'broken');
    await (await startPostgres({ dataDir })).stop();
    await rm(join(dataDir, 'postgres/global/pg_control'));
    await expect(startPostgres({ dataDir })).rejects.toThrow(/^PostgreSQL cannot start in .*broken.*pg_control/);
  });

  // Only root runs the server as another user.
  const asRoot = process.getuid?.() === 0 ? it : it.skip;
  asRoot("links to another folder when the server's user cannot reach it", async () => {
    const dataDir = join(folder, 'private/data');
    await mkdir(join(folder, 'private'), { mode: 0o700 });
    const first = await startPostgres({ dataDir });
    await first.stop();
    expect((await lstat(join(dataDir, 'postgres'))).isSymbolicLink()).toBe(true);
    const second = await startPostgres({ dataDir });
    await second.stop();
    expect(second.dataDir).toBe(first.dataDir);

    await rm(dirname(first.dataDir), { recursive: true });
    await expect(startPostgres({ dataDir })).rejects.toThrow(
      /does not exist: remove the link to start with an empty database$/,
    );
  });
});

describe('startPostgres on data of PostgreSQL 17', () => {
  const tools = fileURLToPath(new URL('../../../.tools/postgres-17', import.meta.url));
  const removeTools = () => rm(tools, { recursive: true, force: true });
  beforeAll(removeTools);
  afterAll(removeTools);

  // It downloads 40 MB.
  const onBuildServer = process.env.CI ? it : it.skip;
  onBuildServer(
    'throws the command that installs PostgreSQL 17, and then serves the data',
    async () => {
      const dataDir = join(folder, 'seventeen');
      await mkdir(join(dataDir, 'postgres'), { recursive: true });
      await writeFile(join(dataDir, 'postgres/PG_VERSION'), '17\n');
      const reason = await startPostgres({ dataDir }).then(String, String);
      const [, command = ''] = /from PostgreSQL 17: run (npm .*) to keep using it, or set DATA_DIR/.exec(reason) ?? [];
      await promisify(execFile)('sh', ['-c', command]);

      await rm(dataDir, { recursive: true });
      const before = await startPostgres({ dataDir, version: '17' });
      await query(before, `create table kept as select 'Grüße 🙂' as word`);
      await before.stop();
      const after = await startPostgres({ dataDir });
      expect(await query(after, `select word, current_setting('server_version') as version from kept`)).toEqual([
        { word: 'Grüße 🙂', version: expect.stringMatching(/^17\./) },
      ]);
      await after.stop();
    },
    120_000,
  );
});

describe('startPostgres in a new data folder', () => {
  it.each(['027', '077'])('starts when the umask is %s', async (mask) => {
    const umask = process.umask(mask);
    try {
      const postgres = await startPostgres({ dataDir: join(folder, `umask-${mask}`) });
      await postgres.stop();
      if (!postgres.dataDir.startsWith(folder)) await rm(dirname(postgres.dataDir), { recursive: true });
    } finally {
      process.umask(umask);
    }
  });

  it('starts when the path has spaces, quotes and other characters of a shell', async () => {
    const dataDir = join(folder, 'it\'s $HOME "`id`" \\');
    const postgres = await startPostgres({ dataDir });
    await postgres.stop();
    expect(postgres.dataDir).toBe(join(dataDir, 'postgres'));
  });

  it('leaves no folder behind when initdb fails', async () => {
    const dataDir = join(folder, 'two\nlines');
    await expect(startPostgres({ dataDir })).rejects.toThrow('cannot create a database in');
    expect(await readdir(folder)).not.toContain('two\nlines');
  });
});

describe('createDatabase', () => {
  let postgres: Postgres;
  const as = (role: string, sql: string) => query({ ...postgres, user: role, password: role }, sql, 'team');
  beforeAll(async () => {
    postgres = await startPostgres({ dataDir: join(folder, 'roles') });
    await createDatabase(postgres, 'team', ['task-service', 'user-service']);
    await as('task_service', 'create table tasks ()');
  });
  afterAll(async () => {
    await postgres.stop();
  });

  it('creates a schema on the search path of each service', async () => {
    expect(await as('task_service', 'select * from task_service.tasks')).toEqual([]);
    expect(await as('task_service', 'select * from tasks')).toEqual([]);
  });

  it.each([
    ['read', 'select * from task_service.tasks'],
    ['write', 'insert into task_service.tasks default values'],
    ['create a table there', 'create table task_service.mine ()'],
    ['create a table in public', 'create table public.mine ()'],
    ['create a schema', 'create schema mine'],
    ['create a role', 'create role mine'],
    ['read files of the server', `select pg_read_file('postmaster.pid')`],
  ])("denies a service to %s in another service's schema", async (_what, sql) => {
    await expect(as('user_service', sql)).rejects.toThrow('permission denied');
  });

  it('changes nothing when the database exists', async () => {
    await createDatabase(postgres, 'team', ['task-service', 'user-service']);
    expect(await as('task_service', 'select * from tasks')).toEqual([]);
  });
});

async function query(postgres: Pick<Postgres, 'port' | 'user' | 'password'>, sql: string, database = 'postgres') {
  const client = new pg.Client({ ...postgres, host: '127.0.0.1', database });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Returns the port of the server. */
async function startFromKilledLauncher(dataDir: string): Promise<number> {
  const built = new URL('../dist/embedded-postgres.js', import.meta.url).href;
  const script = `
    const { startPostgres } = await import('${built}');
    const { port } = await startPostgres({ dataDir: ${JSON.stringify(dataDir)} });
    process.stdout.write(String(port), () => process.kill(process.pid, 'SIGKILL'));`;
  const starter = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(starter, 'close');
  const [port] = (await once(starter.stdout, 'data')) as [Buffer];
  await closed;
  return Number(port.toString());
}
