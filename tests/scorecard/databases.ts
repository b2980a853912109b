/** Other people's databases: settings that change results elsewhere, and standbys that are lost. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SystemUnderTest } from '@task-manager/testing/system-under-test';
import { until } from '@task-manager/testing/until';
import { countOf, type Figure } from './figures.ts';

const settings = {
  DateStyle: 'German',
  TimeZone: 'Asia/Kathmandu',
  search_path: 'public',
  lock_timeout: '1ms',
  array_nulls: 'off',
  synchronous_commit: 'off',
};
const rounds = 14;
const clients = 16;
const standbySeconds = 6;

export async function measureDatabases(system: SystemUnderTest, signal: AbortSignal): Promise<Figure[]> {
  const withSettings = async <Result>(all: Record<string, string>, measure: () => Promise<Result>): Promise<Result> => {
    await system.query(
      ...Object.entries(all).map(([name, value]) => `alter database task_manager set ${name} = '${value}'`),
    );
    await reconnect(system, signal);
    return measure().finally(() => system.query('alter database task_manager reset all'));
  };
  const failed = await withSettings(settings, () => failuresOf(system.url));
  const assigned = await withSettings({ default_transaction_isolation: 'repeatable read' }, () =>
    deleteAssignees(system),
  );
  await reconnect(system, signal);
  return [
    countOf(`Other settings of the database (${Object.keys(settings).length}): failed requests`, failed),
    {
      name: `Tasks of ${rounds} deleted users still assigned, when the default isolation is repeatable read`,
      ...{ measured: assigned, max: 0 },
    },
    ...(await loseStandbys(system)),
  ];
}

/** Ends every session of the services, so that they open new ones. */
async function reconnect(system: SystemUnderTest, signal: AbortSignal): Promise<void> {
  await system.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename like '%\\_service'`);
  await system.recover(signal);
}

/** One request of each kind, and those that did not succeed. */
async function failuresOf(url: string): Promise<string[]> {
  const task = JSON.stringify({ title: 'Settings', dueDate: '2026-12-24', labels: ['a', 'null'] });
  const created = await request(`${url}/tasks`, 'POST', task);
  const path = `${url}/tasks/${String(created.body.id)}`;
  const responses = [
    created,
    await request(path, 'GET'),
    await request(path, 'PATCH', '{"status":"done"}'),
    await request(`${url}/tasks?dueBefore=2027-01-01&q=settings`, 'GET'),
    await request(`${url}/tasks/feed?cursor=latest`, 'GET'),
    await request(path, 'DELETE'),
    await request(
      `${url}/user/register`,
      'POST',
      JSON.stringify({ name: 'Ada', email: `${randomUUID()}@example.com` }),
    ),
  ];
  return responses.filter(({ ok }) => !ok).map(({ label }) => label);
}

/** Deletes users while clients assign tasks to them. The number of tasks that they keep. */
async function deleteAssignees(system: SystemUnderTest): Promise<number> {
  const users: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const body = JSON.stringify({ name: 'Ada', email: `${randomUUID()}@example.com` });
    const assigneeId = String((await request(`${system.url}/user/register`, 'POST', body)).body.id);
    users.push(assigneeId);
    const task = JSON.stringify({ title: 'Assigned', assigneeId });
    const assigning = Array.from({ length: clients }, async () => {
      for (let count = 0; count < 5; count++) await request(`${system.url}/tasks`, 'POST', task);
    });
    await request(`${system.url}/user/users/${assigneeId}`, 'DELETE');
    await Promise.all(assigning);
  }
  const ids = users.map((id) => `'${id}'`).join();
  const count = async (text: string) => Number((await system.query<{ count: string }>(text))[0]?.count);
  await until(
    async () =>
      (await count(`select count(*) from task_service.assignees where deleted_at is not null and id in (${ids})`)) ===
      rounds,
    { what: 'the task service has followed every deletion' },
  );
  return count(`select count(*) from task_service.tasks where assignee_id in (${ids})`);
}

async function loseStandbys(system: SystemUnderTest): Promise<Figure[]> {
  const setStandbys = (names: string) =>
    system.query(`alter system set synchronous_standby_names = '${names}'`, 'select pg_reload_conf()');
  const replicas = system.replicasOf('task-service');
  await setStandbys('lost');
  const endAt = performance.now() + standbySeconds * 1000;
  const repeat = async (act: () => Promise<unknown>) => {
    while (performance.now() < endAt) await act();
  };
  const failed: string[] = [];
  let connections = 0;
  const writing = Array.from({ length: 30 }, () =>
    repeat(() => request(`${system.url}/tasks`, 'POST', '{"title":"a"}')),
  );
  const reading = repeat(async () => {
    const { ok, label } = await request(`${system.url}/tasks?limit=5`, 'GET');
    if (!ok) failed.push(label);
    await sleep(20);
  });
  await repeat(async () => {
    const text = `select from pg_stat_activity where usename = 'task_service'`;
    connections = Math.max(connections, (await system.query(text)).length);
    await sleep(100);
  });
  await Promise.all([...writing, reading]);
  await setStandbys('');
  return [
    countOf('All synchronous standbys lost: failed reads', failed),
    { name: 'connections of a replica', measured: connections / replicas.length, max: 11 },
  ];
}

async function request(url: string, method: string, body?: string) {
  const headers = { 'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
  const response = await fetch(url, { method, ...(body !== undefined && { headers, body }) });
  const text = await response.text();
  return {
    ok: response.ok,
    label: `${method} ${new URL(url).pathname}: ${response.status}`,
    body: (text ? JSON.parse(text) : {}) as Record<string, unknown>,
  };
}
