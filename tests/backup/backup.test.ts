/**
 * Runs the commands of postgres-backup.yaml and postgres-restore.yaml with the real pg_dump, without a cluster. Skipped without
 * it: `.ci/run` installs it into .tools/.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { createDatabase } from '@task-manager/dev/embedded-postgres';
import { root, services } from '@task-manager/dev/repository';
import type { Config } from '@task-manager/runtime/config';
import { newEnvironment } from '@task-manager/testing/harness';
import { TestPostgres } from '@task-manager/testing/postgres';
import { spawnService, untilStatus } from '@task-manager/testing/processes';

const programs = join(root, '.tools/postgres-client/embedded_postgres/pginstall/bin');
const database = 'task_manager';

(existsSync(programs) ? describe : describe.skip)('a backup', () => {
  let folder: string;
  let old: TestPostgres;
  let fresh: TestPostgres;
  let cursor: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'task-manager-backup-'));
    [old, fresh] = await Promise.all([startServer(), startServer()]);
    // The transaction ids of the fresh server are lower.
    await old.query(`do 'begin for number in 1..20000 loop perform pg_current_xact_id(); commit; end loop; end'`);
    const users = await start('user-service', old);
    const user = { name: 'Alice', email: 'alice@example.com' };
    const { id: assigneeId } = await post(`${users.url}/register`, user);
    const tasks = await start('task-service', old, { USER_SERVICE_URL: users.url });
    for (const title of ['Buy milk', '牛乳 🥛', 'Prepare the review']) {
      await post(`${tasks.url}/tasks`, { title, assigneeId, labels: ['home'] });
    }
    cursor = (await readFeed(tasks.url, 'latest')).nextCursor;
    await Promise.all([users.stop(), tasks.stop()]);
    await runJob('postgres-backup', old);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([old.remove(), fresh.remove(), rm(folder, { recursive: true })]);
  });

  it('restores every row into a new server, where the services and the readers of the feed go on', async () => {
    expect(await runJob('postgres-restore', fresh)).toMatch(/\nRestored\n$/);
    expect(await rowsOf(fresh)).toEqual(await rowsOf(old));
    const tasks = await start('task-service', fresh, { USER_SERVICE_URL: 'http://127.0.0.1:1' });
    const { id } = await post(`${tasks.url}/tasks`, { title: 'After the restore' });
    expect((await readFeed(tasks.url, cursor)).items.map(({ subject }) => subject)).toEqual([id]);
    await tasks.stop();
  }, 60_000);

  it('changes nothing when the dump is damaged', async () => {
    const before = await rowsOf(fresh);
    const [name = ''] = await readdir(folder);
    await truncate(join(folder, name), 4000);
    await expect(runJob('postgres-restore', fresh)).rejects.toThrow('could not read from input file');
    expect(await rowsOf(fresh)).toEqual(before);
  });

  /** Runs the container of a manifest as a process. Resolves with its output. */
  async function runJob(name: string, server: TestPostgres): Promise<string> {
    const [document] = parseAllDocuments(await readFile(join(root, `kubernetes/production/${name}.yaml`), 'utf8'));
    const { spec } = document?.toJS() as { spec: { jobTemplate?: { spec: Job } } & Job };
    const { command, env } = (spec.jobTemplate?.spec ?? spec).template.spec.containers[0];
    const [bash = '', ...options] = command.map((text) => text.replaceAll('/backup', folder));
    const connection = {
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGUSER: 'postgres',
      PGPASSWORD: 'postgres',
    };
    const variables = Object.fromEntries(env.map((variable) => [variable.name, variable.value]));
    const environment = { ...variables, ...connection, PATH: `${programs}:${process.env.PATH ?? ''}` };
    return (await promisify(execFile)(bash, options, { env: environment })).stdout;
  }
});

interface Job {
  template: { spec: { containers: [{ command: string[]; env: { name: string; value?: string }[] }] } };
}

async function startServer(): Promise<TestPostgres> {
  const server = await TestPostgres.start();
  await createDatabase(server, database, services);
  return server;
}

async function start(name: string, server: TestPostgres, variables: Record<string, string> = {}) {
  const role = name.replace('-', '_');
  const environment: Config = {
    ...(await newEnvironment(name, server.port)),
    ...{ POSTGRES_DB: database, POSTGRES_USER: role, POSTGRES_PASSWORD: role },
  };
  const { child, url, exited } = await spawnService(name, environment, variables);
  await untilStatus(200, `${url}/health`);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  return { url, stop };
}

async function post(url: string, body: object): Promise<{ id: string }> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(url, init);
  expect(response.status).toBe(201);
  return (await response.json()) as { id: string };
}

async function readFeed(url: string, cursor: string) {
  const response = await fetch(`${url}/tasks/feed?cursor=${cursor}${cursor === 'latest' ? '' : '&wait=5'}`);
  return (await response.json()) as { items: { subject: string }[]; nextCursor: string };
}

async function rowsOf(server: TestPostgres): Promise<Record<string, unknown>[]> {
  const tables = ['task_service.tasks', 'task_service.events', 'user_service.users', 'user_service.events'];
  const rows = tables.map((table) => `select '${table}' || t::text as line from ${table} as t`).join(' union all ');
  return server.query(`select line from (${rows}) order by line`, database);
}
