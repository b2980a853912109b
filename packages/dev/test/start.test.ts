import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { until } from '@task-manager/testing/until';
import { findPort } from '../src/system.ts';
import { startPostgres } from '../src/embedded-postgres.ts';

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

let folder: string;
let dataDir: string;
let port: number;
let url: string;
let system: Launched;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'task-manager-start-'));
  // Started by root, PostgreSQL runs as another user.
  await chmod(folder, 0o755);
  dataDir = join(folder, 'data');
  port = await findPort();
  url = `http://localhost:${port}`;
  system = await launch();
});
afterAll(async () => {
  await system.end('SIGKILL');
  const postgres = await startPostgres({ dataDir });
  await postgres.stop();
  await rm(folder, { recursive: true });
});

describe('npm start', () => {
  it('lists every process and its address', () => {
    expect(system.output()).toContain(`open ${url}/ in a browser`);
    expect(system.output()).toMatch(
      /task-service-2 .*http:.*metrics http:[^]*user-service-1[^]*psql postgres:[^]*Ctrl-C stops/,
    );
    expect(system.replicas().size).toBe(4);
  });

  it('listens on loopback addresses only', async () => {
    const ports = [...system.output().matchAll(/(?:localhost|127\.0\.0\.1):(\d+)/g)].map(([, port]) => Number(port));
    expect(new Set(ports).size).toBe(10);
    for (const port of ports) {
      const socket = connect(port, '127.0.0.2');
      await expect(once(socket, 'connect')).rejects.toThrow('ECONNREFUSED');
    }
  });

  it('passes demo.sh', async () => {
    const { stdout } = await promisify(execFile)(file('../../../scripts/demo.sh'), [url]);
    expect(stdout).toContain(`responses from ${url}, all as expected.`);
  });

  it('serves requests from both replicas and logs each in a line', async () => {
    const logged = (replica: string) =>
      new RegExp(`^${replica} .*POST /tasks 201 .* ms createTask`, 'm').test(system.output());
    await until(async () => {
      await createTask('shared work');
      return logged('task-service-1') && logged('task-service-2');
    });
  });

  it('fails no request and restarts the replica when one is killed', async () => {
    const statuses: number[] = [];
    const asking = new AbortController();
    const clients = [1, 2, 3, 4].map(async () => {
      while (!asking.signal.aborted) statuses.push((await fetch(`${url}/tasks`)).status);
    });
    await until(() => statuses.length > 20);
    process.kill(system.replicas().get('task-service-1') ?? 0, 'SIGKILL');
    const asked = statuses.length;
    await until(() => /task-service-1 exited unexpectedly[^]*^task-service-1 .*ready$/m.test(system.output()));
    await until(() => statuses.length > asked + 20);
    asking.abort();
    await Promise.all(clients);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });

  it('ignores the PG* variables of the shell', async () => {
    await createTask('with the variables of another server');
    expect(system.errors()).toBe('');
  });

  it('prints one line and creates no data when its port is taken', async () => {
    const other = run({ DATA_DIR: join(folder, 'other') });
    expect(await other.exit).toBe(1);
    expect(other.errors()).toBe(`npm start: port ${port} is taken: stop what uses it, or set PORT to another one\n`);
    expect(await readdir(folder)).toEqual(['data']);
  });

  it('prints one line when its data folder is in use', async () => {
    const other = run({ PORT: String(await findPort()) });
    expect(await other.exit).toBe(1);
    expect(other.errors()).toMatch(/^npm start: another npm start is using the data folder .*\n$/);
  });

  it('stops every process and exits with 0 on Ctrl-C', async () => {
    await createTask('before the stop');
    const replicas = [...system.replicas().values()];
    expect(await system.end('SIGINT')).toBe(0);
    expect(replicas.filter(isAlive)).toEqual([]);
    expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
    expect(system.errors()).toBe('');
  });

  it('keeps the data when it is restarted', async () => {
    system = await launch();
    const { items } = (await (await fetch(`${url}/tasks`)).json()) as { items: { title: string }[] };
    expect(items[0]?.title).toBe('before the stop');
  });

  it('leaves only a PostgreSQL that the next start adopts when it is killed', async () => {
    const replicas = [...system.replicas().values()];
    await system.end('SIGKILL');
    await until(() => !replicas.some(isAlive));
    const postgres = await startPostgres({ dataDir });
    await postgres.stop();
    expect(postgres.adopted).toBe(true);
  });
});

describe('demo.sh', () => {
  it('prints one line when the system is not running', async () => {
    const nowhere = `http://localhost:${await getPort()}`;
    await expect(promisify(execFile)(file('../../../scripts/demo.sh'), [nowhere])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^demo\.sh: nothing responds at .*: run npm start, or give another address\n$/),
    });
  });
});

interface Launched {
  exit: Promise<number | null>;
  output(): string;
  errors(): string;
  /** The process ids of the replicas, by name. */
  replicas(): Map<string, number>;
  end(signal: NodeJS.Signals): Promise<number | null>;
}

async function launch(): Promise<Launched> {
  const launched = run({});
  const exited = launched.exit.then(() => {
    throw new Error(`npm start ended: ${launched.errors()}`);
  });
  exited.catch(() => undefined);
  await Promise.race([until(() => launched.output().includes('Ctrl-C stops everything')), exited]);
  return launched;
}

/** No server to use, and variables that node-postgres reads. */
const shell = {
  POSTGRES_HOST: '',
  PGHOST: 'db.example',
  PGSSLMODE: 'require',
  PGSSLNEGOTIATION: 'direct',
  PGOPTIONS: '-c default_transaction_read_only=on',
};

function run(environment: Record<string, string>): Launched {
  const child: ChildProcess = spawn(process.execPath, [file('../dist/start.js')], {
    env: { ...process.env, ...shell, PORT: String(port), DATA_DIR: dataDir, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return {
    exit,
    output: () => output,
    errors: () => errors,
    replicas: () =>
      new Map([...output.matchAll(/^ {2}(\S+-\d) .*process (\d+)/gm)].map(([, name = '', pid]) => [name, Number(pid)])),
    end(signal) {
      child.kill(signal);
      return exit;
    },
  };
}

/** Retries on 503, as a client does: on a busy machine a connection may time out. */
async function createTask(title: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  for (;;) {
    const answer = await fetch(`${url}/tasks`, { method: 'POST', headers, body: JSON.stringify({ title }) });
    if (answer.status !== 503) {
      expect(answer.status).toBe(201);
      return;
    }
    await sleep(Number(answer.headers.get('Retry-After')) * 1000);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
