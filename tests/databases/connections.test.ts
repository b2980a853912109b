/** How many connections a replica opens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { connectAsSuperuser, newEnvironment } from '@task-manager/testing/harness';
import type { Config } from '@task-manager/runtime/config';
import { TestPostgres } from '@task-manager/testing/postgres';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { json, retryWhileUnavailable, send, unknownId } from '@task-manager/testing/subject';
import { until } from '@task-manager/testing/until';

let postgres: TestPostgres;
let environment: Config;
const started: ServiceProcess[] = [];

beforeAll(async () => {
  postgres = await TestPostgres.start();
  environment = await newEnvironment('task-service', postgres.port);
});
afterEach(async () => {
  for (const { child, exited } of started.splice(0)) {
    child.kill('SIGKILL');
    await exited;
  }
});
afterAll(() => postgres.remove());

async function start(overrides = {}): Promise<ServiceProcess> {
  const service = await spawnService('task-service', environment, overrides);
  started.push(service);
  await untilStatus(200, `${service.url}/health`);
  return service;
}

async function connections(condition = 'true'): Promise<number[]> {
  const rows = await postgres.query(`select pid from pg_stat_activity where usename = 'task_service' and ${condition}`);
  return rows.map(({ pid }) => Number(pid));
}

it('opens no connection in place of one whose statement does not end', async () => {
  const { url } = await start();
  const admin = await connectAsSuperuser(environment);
  const frozen = new Set<number>();
  let most = 0;
  for (let round = 0; round < 4; round++) {
    const tasks = await Promise.all(Array.from({ length: 6 }, () => createTask(url)));
    await admin.query('begin');
    await admin.query('select from task_service.tasks where id = any ($1) for update', [tasks]);
    // A DELETE is never batched: each takes a connection.
    const sent = tasks.map((id) => send(`${url}/tasks/${id}`, 'DELETE'));
    for (let sample = 0; sample < 10; sample++) {
      for (const pid of await connections(`wait_event_type = 'Lock'`)) {
        process.kill(pid, 'SIGSTOP');
        frozen.add(pid);
      }
      most = Math.max(most, (await connections()).length);
      await sleep(50);
    }
    await admin.query('rollback');
    await Promise.all(sent);
  }
  for (const pid of frozen) process.kill(pid, 'SIGCONT');
  await admin.end();
  expect(most).toBeLessThanOrEqual(11);
  expect(frozen.size).toBeGreaterThan(5);
  await createTask(url);
});

/** Retries while every connection is in use. */
async function createTask(url: string): Promise<string> {
  const { body } = await retryWhileUnavailable(() =>
    send(`${url}/tasks`, 'POST', json, JSON.stringify({ title: 'T' })),
  );
  return String(body.id);
}

it('opens POSTGRES_POOL_MAX connections and one for the health check', async () => {
  const { url } = await start({ POSTGRES_POOL_MAX: 2 });
  await until(async () => (await connections()).length <= 3);
  const admin = await connectAsSuperuser(environment);
  await admin.query('begin; lock table task_service.tasks in access exclusive mode');
  const sent = Array.from({ length: 6 }, () => send(`${url}/tasks/${unknownId}`, 'DELETE'));
  await until(async () => (await connections(`wait_event_type = 'Lock'`)).length === 2);
  expect(await connections()).toHaveLength(3);
  await admin.query('rollback');
  await admin.end();
  expect(new Set((await Promise.all(sent)).map(({ status }) => status))).toEqual(new Set([404]));
});
