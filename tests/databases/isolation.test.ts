/** The services on a database whose default isolation level is not read committed: the same results. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Config } from '@task-manager/runtime/config';
import { connectAsSuperuser } from '@task-manager/testing/harness';
import { json, send } from '@task-manager/testing/subject';
import { until } from '@task-manager/testing/until';
import type pg from 'pg';
import { Services } from './services.ts';

describe.each(['read committed', 'repeatable read', 'serializable'])('%s as the default', (level) => {
  let services: Services;
  let users: string;
  let tasks: string;
  let superuser: pg.Client;

  beforeAll(async () => {
    services = await Services.create();
    await services.alter(`set default_transaction_isolation = '${level}'`);
    [users, tasks] = (await services.start()).map(({ url }) => url) as [string, string];
    await services.untilReady();
    [, superuser] = services.superusers as [pg.Client, pg.Client];
  });
  afterAll(() => services.drop());

  async function create(url: string, body: object, headers = {}): Promise<string> {
    const response = await send(url, 'POST', { ...json, ...headers }, JSON.stringify(body));
    expect(response).toMatchObject({ status: 201 });
    return response.body.id as string;
  }

  it('unassigns a task that was assigned while its assignee is deleted', async () => {
    const assigneeId = await create(`${users}/register`, { name: 'Alice', email: `${randomUUID()}@example.com` });
    const taskId = await create(`${tasks}/tasks`, { title: 'Buy milk', assigneeId });
    const other = await connectAsSuperuser(services.environments[1] as Config);
    // Holds up the transaction that unassigns, after its first statement has begun. A table lock needs no transaction id: an
    // older one that is running would hold back the event.
    await other.query('begin; lock table task_service.followed in exclusive mode');
    expect((await send(`${users}/users/${assigneeId}`, 'DELETE')).status).toBe(204);
    await untilWaiting('relation');
    // An assignment that has the lock of the assignee, and is not committed yet.
    await superuser.query('begin isolation level read committed');
    await superuser.query('select from task_service.assignees where id = $1 for share', [assigneeId]);
    await superuser.query(
      `insert into task_service.tasks (id, title, description, created_at, assignee_id)
       values (gen_random_uuid(), 'Buy bread', '', now(), $1)`,
      [assigneeId],
    );
    await other.end();
    await untilWaiting('transactionid');
    await superuser.query('commit');
    await until(async () => (await send(`${tasks}/tasks/${taskId}`, 'GET')).body.assigneeId === null);
    const { rows } = await superuser.query('select title from task_service.tasks where assignee_id = $1', [assigneeId]);
    expect(rows).toEqual([]);
  });

  it('applies each of many concurrent updates of a task', async () => {
    const taskId = await create(`${tasks}/tasks`, { title: 'Buy milk' });
    await superuser.query('begin');
    await superuser.query('select from task_service.tasks where id = $1 for update', [taskId]);
    const updates = Array.from({ length: 8 }, (_, number) =>
      send(`${tasks}/tasks/${taskId}`, 'PATCH', json, JSON.stringify({ title: `Buy ${number}` })),
    );
    await untilWaiting('transactionid');
    await superuser.query('commit');
    expect((await Promise.all(updates)).map(({ status }) => status)).toEqual(updates.map(() => 200));
    expect((await send(`${tasks}/tasks/${taskId}`, 'GET')).body.version).toBe(9);
  });

  it('stores one task for concurrent requests with one key', async () => {
    const body = JSON.stringify({ title: 'Buy tea' });
    for (let round = 0; round < 10; round++) {
      const headers = { ...json, 'Idempotency-Key': `${round}` };
      const sent = await Promise.all(Array.from({ length: 6 }, () => send(`${tasks}/tasks`, 'POST', headers, body)));
      for (const { status } of sent) expect([201, 409]).toContain(status);
    }
    expect((await send(`${tasks}/tasks?q=tea&limit=100`, 'GET')).body.items).toHaveLength(10);
  });

  async function untilWaiting(lock: string): Promise<void> {
    const text = `select from pg_stat_activity where wait_event = '${lock}' and datname = current_database()`;
    await until(async () => ((await superuser.query(text)).rowCount ?? 0) > 0, { what: `a wait for ${lock}` });
  }
});
