/** The services through a real PgBouncer, in each of its modes. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Config } from '@task-manager/runtime/config';
import { connectionOf } from '@task-manager/runtime/postgres/database';
import { untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { json, retryWhileUnavailable, send } from '@task-manager/testing/subject';
import { until } from '@task-manager/testing/until';
import pg from 'pg';
import { preparesStatements, startPgBouncer, version, type PgBouncer } from './pgbouncer.ts';
import { Services } from './services.ts';

// Each test starts a PgBouncer and three services, which takes long on a busy machine.
jest.setTimeout(60_000);

const transaction = { pool_mode: 'transaction' };
const prepared = { ...transaction, max_prepared_statements: '200' };
const unprepared = { ...transaction, ...(preparesStatements && { max_prepared_statements: '0' }) };

const advice = 'skipped: install the Debian package pgbouncer';
if (version === undefined) process.stdout.write(`PgBouncer ${advice}\n`);
const describeWith = version === undefined ? describe.skip : describe;
const itWithPrepared = preparesStatements ? it : it.skip;

describeWith(`PgBouncer ${version ?? advice}`, () => {
  let services: Services;
  let pgbouncer: PgBouncer | undefined;
  let superuser: pg.Client;
  let taskEnvironment: Config;

  beforeEach(async () => {
    services = await Services.create();
    [, superuser] = services.superusers as [pg.Client, pg.Client];
    [, taskEnvironment] = services.environments as [Config, Config];
  });
  afterEach(async () => {
    await services.kill();
    await pgbouncer?.stop();
    await services.drop();
  });

  async function startBehind(parameters: Record<string, string>): Promise<ServiceProcess[]> {
    pgbouncer = await startPgBouncer(taskEnvironment.POSTGRES_PORT, parameters);
    return services.start(2, pgbouncer.port);
  }

  /** Clients of every kind; returns how many responses had each status. */
  async function sendLoad(tasks: string[], assigneeId: string): Promise<Record<number, number>> {
    const counts: Record<number, number> = {};
    const client = async (url: string) => {
      const request = async (method: string, path: string, body?: object, headers = {}) => {
        const attempt = () => send(url + path, method, { ...json, ...headers }, body && JSON.stringify(body));
        const response = await retryWhileUnavailable(attempt);
        counts[response.status] = (counts[response.status] ?? 0) + 1;
        return response.body.id as string;
      };
      for (let round = 0; round < 3; round++) {
        const title = `Task ${randomUUID()}`;
        const key = { 'Idempotency-Key': title };
        const id = await request('POST', '/tasks', { title });
        await request('POST', '/tasks', { title, assigneeId }, key);
        await request('POST', '/tasks', { title, assigneeId }, key);
        await request('PATCH', `/tasks/${id}`, { status: 'done' });
        await request('GET', `/tasks/${id}`);
        for (const query of ['', '?status=done', '?sort=dueDate', '?q=task&sort=-updatedAt', '/feed?cursor=latest']) {
          await request('GET', `/tasks${query}`);
        }
        await request('DELETE', `/tasks/${id}`);
      }
    };
    await Promise.all(tasks.flatMap((url) => [client(url), client(url), client(url)]));
    return counts;
  }

  const modes: [string, Record<string, string>][] = [
    ['transaction mode without prepared statements', unprepared],
    ['transaction mode with one connection', { ...unprepared, default_pool_size: '1' }],
    ['session mode', { pool_mode: 'session', default_pool_size: '30' }],
  ];
  if (preparesStatements) modes.push(['transaction mode with prepared statements', prepared]);

  it.each(modes)('serves every request in %s', async (_mode, parameters) => {
    const [users, ...tasks] = (await startBehind(parameters)).map(({ url }) => url) as [string, ...string[]];
    await services.untilReady();
    const user = { name: 'Alice', email: 'alice@example.com' };
    const { id } = (await send(`${users}/register`, 'POST', json, JSON.stringify(user))).body as { id: string };
    // 6 clients, 3 rounds: 3 POSTs, one PATCH, 6 GETs and one DELETE.
    expect(await sendLoad(tasks, id)).toEqual({ 200: 7 * 18, 201: 3 * 18, 204: 18 });

    expect((await send(`${users}/users/${id}`, 'DELETE')).status).toBe(204);
    const assigned = { text: 'select from task_service.tasks where assignee_id = $1', values: [id] };
    await until(async () => (await superuser.query(assigned)).rowCount === 0);
    const { rows } = await superuser.query(
      `select (select count(*) - count(distinct name) from task_service.migrations)::int as repeated,
         (select count(*) from pg_locks where locktype = 'advisory' and database = (
           select oid from pg_database where datname = current_database()))::int as locks`,
    );
    expect(rows).toEqual([{ repeated: 0, locks: 0 }]);
  });

  itWithPrepared('prepares statements where PgBouncer does, and recovers when it no longer does', async () => {
    const [users, tasks] = (await startBehind(prepared)) as [ServiceProcess, ServiceProcess];
    await services.untilReady();
    const statements = async () => {
      const client = new pg.Client(connectionOf({ ...taskEnvironment, POSTGRES_PORT: pgbouncer?.port ?? 0 }));
      await client.connect();
      const { rows } = await client.query<{ name: string }>('select name from pg_prepared_statements');
      await client.end();
      return rows.map(({ name }) => name);
    };
    expect((await send(`${tasks.url}/tasks`, 'GET')).status).toBe(200);
    expect(await statements()).toEqual(expect.arrayContaining([expect.stringMatching(/^PGBOUNCER_\d+$/)]));
    await pgbouncer?.command('SET max_prepared_statements = 0');
    await until(async () => (await send(`${tasks.url}/tasks`, 'GET')).status === 200);
    for (let count = 0; count < 20; count++) expect((await send(`${tasks.url}/tasks`, 'GET')).status).toBe(200);
    expect(`${users.output()}${tasks.output()}`).not.toContain('"status":500');
  });

  const wrong = `set default_transaction_isolation = 'repeatable read'`;

  it('is not ready, and logs one line with the remedy, while the role has other settings', async () => {
    await services.alter(wrong);
    const [, tasks] = (await startBehind(unprepared)) as [ServiceProcess, ServiceProcess];
    const remedy = `alter role task_service set default_transaction_isolation = 'read committed';`;
    const linesWith = (text: string) =>
      tasks
        .output()
        .split('\n')
        .filter((line) => line.includes(text));
    await until(() => linesWith(remedy).length > 0);
    // The health check connects again after each failure.
    const countConnections = () => pgbouncer?.output().match(/login attempt/g)?.length ?? 0;
    const connected = countConnections();
    await until(() => countConnections() > connected + 8);
    expect(linesWith('a connection pooler')).toHaveLength(1);
    const health = await untilStatus(503, `${tasks.url}/health`);
    expect(await health.json()).toMatchObject({ detail: 'The settings of the database cannot be used.' });

    // Only for these databases: other tests use the roles too.
    await services.onBoth(
      ({ POSTGRES_DB, POSTGRES_USER }) =>
        `alter role ${POSTGRES_USER} in database ${POSTGRES_DB} set default_transaction_isolation = 'read committed'`,
    );
    await pgbouncer?.command('RECONNECT');
    await services.untilReady();
  });

  it('rejects requests with 503 when the settings change while it runs', async () => {
    const [, tasks] = (await startBehind(unprepared)) as [ServiceProcess, ServiceProcess];
    await services.untilReady();
    expect((await send(`${tasks.url}/tasks`, 'GET')).status).toBe(200);
    await services.alter(wrong);
    await pgbouncer?.command('RECONNECT');
    await untilStatus(503, `${tasks.url}/health`);
    await untilStatus(503, `${tasks.url}/tasks`);
  });

  it('is not ready, and logs one line with the cause, in statement mode', async () => {
    const [, tasks] = (await startBehind({ pool_mode: 'statement' })) as [ServiceProcess, ServiceProcess];
    await until(() => tasks.output().includes('transaction blocks not allowed in statement pooling mode'));
    await untilStatus(503, `${tasks.url}/health`);
  });
});
