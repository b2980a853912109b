/** The services on a database that sets what changes results: every client sees the same as on a plain one. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { send } from '@task-manager/testing/subject';
import { until } from '@task-manager/testing/until';
import type pg from 'pg';
import { Services } from './services.ts';

let services: Services;
let users: string;
let tasks: string;
let plain: object[];

beforeAll(async () => {
  services = await Services.create();
  [users, tasks] = (await services.start()).map(({ url }) => url) as [string, string];
  await services.untilReady();
  // Functions that hide those of PostgreSQL when their schema comes first.
  await services.onBoth(
    ({ POSTGRES_USER }) => `create schema elsewhere; grant usage on schema elsewhere to ${POSTGRES_USER};
      create function elsewhere.lower(text) returns text immutable language sql as $$ select 'lower' $$;
      create function elsewhere.now() returns timestamptz stable language sql as $$ select timestamptz 'epoch' $$;
      create function elsewhere.unnest(uuid[]) returns setof uuid immutable language sql as $$ select null::uuid $$`,
  );
  plain = await tellStory();
});
afterEach(async () => {
  await services.alter('reset all');
});
afterAll(() => services.drop());

describe('the responses', () => {
  it.each([
    [`DateStyle = 'SQL, DMY'`],
    [`DateStyle = 'German'`],
    [`DateStyle = 'Postgres, MDY'`],
    [`IntervalStyle = 'iso_8601'`],
    [`TimeZone = 'Asia/Kathmandu'`],
    [`extra_float_digits = -15`],
    [`bytea_output = 'escape'`],
    [`standard_conforming_strings = off`],
    [`array_nulls = off`],
    [`transform_null_equals = on`],
    [`gin_fuzzy_search_limit = 1`],
    [`exit_on_error = on`],
    [`search_path = elsewhere, pg_catalog`],
    [`lock_timeout = '1ms'`],
    [`plan_cache_mode = force_generic_plan`],
    [`default_transaction_isolation = 'repeatable read'`],
    [`default_transaction_isolation = 'serializable'`],
    [`default_transaction_deferrable = on`],
    [`client_encoding = 'LATIN1'`],
    [`quote_all_identifiers = on`],
    [`row_security = off`],
    [`default_text_search_config = 'english'`],
  ])('are the same when the database sets %s', async (setting) => {
    await services.alter(`set ${setting}`);
    await reconnect();
    expect(await tellStory()).toEqual(plain);
  });
});

/** Ends every connection of the services, and waits until they have new ones. */
async function reconnect(): Promise<void> {
  await services.onBoth(
    ({ POSTGRES_USER }) => `select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and usename = '${POSTGRES_USER}'`,
  );
  const lists = Array.from({ length: 10 }, () => [`${users}/users`, `${tasks}/tasks`]).flat();
  await until(async () => (await Promise.all(lists.map((url) => fetch(url)))).every(({ ok }) => ok));
}

/** The responses to requests of every kind, with names instead of what differs each time. */
async function tellStory(): Promise<object[]> {
  const word = `w${randomUUID().replaceAll('-', '')}`;
  const names = new Map<string, string>();
  const story: object[] = [];
  const request = async (method: string, url: string, body?: object, headers: Record<string, string> = {}) => {
    const all = { ...headers, ...(body && { 'Content-Type': 'application/json' }) };
    const { status, text, body: json } = await send(url, method, all, body && JSON.stringify(body));
    story.push({ method, status, text: withNames(text.replaceAll(word, 'word'), names) });
    return json as { id: string };
  };

  const latest = (await send(`${tasks}/tasks/feed?cursor=latest`, 'GET')).body.nextCursor as string | null;
  const user = await request('POST', `${users}/register`, { name: `Zoë ${word}`, email: `${word}@Example.com` });
  const other = await request('POST', `${users}/register`, { name: 'Bob', email: `${word}-2@example.com` });
  await request('POST', `${users}/register`, { name: 'Eve', email: `${word}@EXAMPLE.com` });
  await request('PATCH', `${users}/users/${other.id}`, { email: `${word}@example.com` });
  await request('GET', `${users}/users?email=${word}@EXAMPLE.COM`);
  await request('GET', `${users}/users?q=${word}`);
  await request('DELETE', `${users}/users/${other.id}`);
  const key = { 'Idempotency-Key': word };
  const labels = [word, 'NULL', 'back\\slash "quote"'];
  const task = await request('POST', `${tasks}/tasks`, { title: `Read ${word}`, dueDate: '2026-02-03', labels }, key);
  await request('POST', `${tasks}/tasks`, { title: `Read ${word}`, dueDate: '2026-02-03', labels }, key);
  await request('POST', `${tasks}/tasks/batch`, {
    items: [
      { title: `One ${word}`, priority: 'high', assigneeId: user.id, labels },
      { title: `Two ${word}`, status: 'done', dueDate: '2026-12-01', labels },
    ],
  });
  await request(
    'PATCH',
    `${tasks}/tasks/${task.id}`,
    { description: 'C:\\new', status: 'done' },
    { 'If-Match': '"1"' },
  );
  await request('PATCH', `${tasks}/tasks/${task.id}`, { assigneeId: user.id, dueDate: null }, { 'If-Match': '"1"' });
  await whileLocked(task.id, () => request('PATCH', `${tasks}/tasks/${task.id}`, { title: `Waited ${word}` }));
  await request('GET', `${tasks}/tasks/${task.id}`);
  for (const query of ['sort=dueDate', 'sort=-updatedAt', 'sort=priority', 'dueBefore=2026-12-01', `q=${word}`, '']) {
    await request('GET', `${tasks}/tasks?label=${word}&${query}`);
  }
  await request('GET', `${tasks}/tasks?label=${word}&limit=1&sort=dueDate`);
  await request('DELETE', `${tasks}/tasks/${task.id}`);
  const feed = `${tasks}/tasks/feed?cursor=${latest ?? '0-0'}`;
  // Transactions of other tests hold events back.
  const isComplete = async () => (await send(feed, 'GET')).text.includes('task.deleted');
  await until(isComplete, { timeoutMs: 5000 }).catch(() => undefined);
  await request('GET', feed);
  return story;
}

/** Sends a request that waits for the lock of the task, and releases the lock. */
async function whileLocked(taskId: string, act: () => Promise<unknown>): Promise<void> {
  const [, superuser] = services.superusers as [pg.Client, pg.Client];
  await superuser.query('begin');
  await superuser.query('select from task_service.tasks where id = $1 for update', [taskId]);
  const response = act();
  const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
  // A request that does not wait has failed: the story shows it.
  await until(async () => ((await superuser.query(waiting)).rowCount ?? 0) > 0, { timeoutMs: 700 }).catch(
    () => undefined,
  );
  await superuser.query('rollback');
  await response;
}

/** Ids, times and cursors, in the formats of the contract only. */
function withNames(text: string, names: Map<string, string>): string {
  return text
    .replace(/[\da-f]{8}-[\da-f]{4}-[47][\da-f]{3}-[\da-f]{4}-[\da-f]{12}/g, (id) => {
      names.set(id, names.get(id) ?? `id ${names.size}`);
      return names.get(id) ?? '';
    })
    .replace(/"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/g, '"time"')
    .replace(/"\d+-\d+"/g, '"event"')
    .replace(/"nextCursor":"[^"]+"/g, '"nextCursor":"next"');
}
