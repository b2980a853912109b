/** The task service on a PostgreSQL whose synchronous standbys are all lost: no commit returns until one is back. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { newEnvironment } from '@task-manager/testing/harness';
import { TestPostgres } from '@task-manager/testing/postgres';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { json, retryWhileUnavailable, send, type TestResponse } from '@task-manager/testing/subject';
import { until } from '@task-manager/testing/until';

let postgres: TestPostgres;
let service: ServiceProcess;
let task: string;

beforeAll(async () => {
  postgres = await TestPostgres.start({ settings: ['max_connections = 30'] });
  service = await spawnService('task-service', await newEnvironment('task-service', postgres.port));
  await untilStatus(200, `${service.url}/health`);
  task = String((await create()).headers.location);
});
afterAll(async () => {
  service.child.kill('SIGKILL');
  await service.exited;
  await postgres.remove();
});

beforeEach(() => setStandbys('lost'));
afterEach(() => setStandbys(''));

async function setStandbys(names: string): Promise<void> {
  await postgres.query(`alter system set synchronous_standby_names = '${names}'`);
  await postgres.query('select pg_reload_conf()');
  const show = 'show synchronous_standby_names';
  await until(async () => (await postgres.query(show))[0]?.synchronous_standby_names === names);
}

function create(headers: Record<string, string> = {}, title = randomUUID()): Promise<TestResponse> {
  return send(`${service.url}/tasks`, 'POST', { ...json, ...headers }, JSON.stringify({ title }));
}

it('serves reads and opens at most 11 connections', async () => {
  const done = new AbortController();
  const details = new Set<unknown>();
  async function repeat(request: () => Promise<TestResponse>): Promise<number[]> {
    const statuses: number[] = [];
    while (!done.signal.aborted) {
      const { status, body } = await request();
      statuses.push(status);
      if (status === 503) details.add(body.detail);
      await sleep(20);
    }
    return statuses;
  }
  const repeatAll = async (requests: (() => Promise<TestResponse>)[]) => [
    ...new Set((await Promise.all(requests.map(repeat))).flat()),
  ];
  // A POST with a key has a connection of its own, so these need more than the pool has.
  const writing = repeatAll(
    Array.from({ length: 30 }, () => [() => create(), () => create({ 'Idempotency-Key': randomUUID() })]).flat(),
  );
  // The first writes fill the pool until the service cancels them.
  expect((await create()).status).toBe(503);
  const reading = repeatAll(
    Array.from({ length: 5 }, () => [
      () => send(`${service.url}/tasks`, 'GET'),
      () => send(service.url + task, 'GET'),
    ]).flat(),
  );
  let most = 0;
  for (let sample = 0; sample < 50; sample++) {
    const connections = await postgres.query(`select from pg_stat_activity where usename = 'task_service'`);
    most = Math.max(most, connections.length);
    await sleep(50);
  }
  expect((await fetch(`${service.url}/health`)).status).toBe(200);
  done.abort();
  expect(await reading).toEqual([200]);
  expect(await writing).toEqual([503]);
  expect(details).toContain('The database does not end this statement in time.');
  expect(most).toBeLessThanOrEqual(11);
});

it('acknowledges no write on a retry with its key before a standby has it', async () => {
  const [key, title] = [{ 'Idempotency-Key': randomUUID() }, randomUUID()];
  expect((await create(key, title)).status).toBe(503);
  // Until the service has cancelled the first.
  let early = await create(key, title);
  while (early.status === 409) early = await create(key, title);
  expect(early.status).toBe(503);
  await setStandbys('');
  const retry = await retryWhileUnavailable(() => create(key, title));
  expect(retry.status).toBe(201);
  const { body } = await send(`${service.url}/tasks?q=${title}`, 'GET');
  expect(body).toMatchObject({ items: [retry.body] });
});
