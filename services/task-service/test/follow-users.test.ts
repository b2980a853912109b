/** Both services as processes: valid assignees, and unassigned tasks after the deletion of a user. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectionOf, Database } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import fc from 'fast-check';
import createClient, { type Client } from 'openapi-fetch';
import pg from 'pg';
import type { paths } from '../../../generated/task-service.d.ts';
import type { paths as userPaths } from '../../../generated/user-service.d.ts';
import { newEnvironment } from '@task-manager/testing/harness';
import { freePort, spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { until } from '@task-manager/testing/until';
import { unknownId } from '@task-manager/testing/subject';
import { insertTasks, unassign } from '../src/queries.ts';

let taskEnvironment: Config;
let userEnvironment: Config;
let userPort: number;
/** The running processes; a test that kills one replaces it. */
let replicas: ServiceProcess[] = [];
let userService: ServiceProcess;
let users: Client<userPaths, 'application/json'>;
let taskDatabase: pg.Client;
let userDatabase: pg.Client;

beforeAll(async () => {
  taskEnvironment = await newEnvironment('task-service');
  userEnvironment = await newEnvironment('user-service');
  userPort = await freePort();
  userService = await runUserService();
  replicas = await Promise.all([runTaskService(), runTaskService()]);
  users = createClient({ baseUrl: userService.url });
  await untilReady();
  taskDatabase = new pg.Client(connectionOf(taskEnvironment));
  userDatabase = new pg.Client(connectionOf(userEnvironment));
  await Promise.all([taskDatabase.connect(), userDatabase.connect()]);
});
afterAll(async () => {
  await Promise.all([taskDatabase.end(), userDatabase.end()]);
  await Promise.all(started.map(kill));
});

/** Every process, so that afterAll also kills the processes of a failed test. */
const started: ServiceProcess[] = [];
async function run(...args: Parameters<typeof spawnService>): Promise<ServiceProcess> {
  const service = await spawnService(...args);
  started.push(service);
  return service;
}

function runUserService(): Promise<ServiceProcess> {
  return run('user-service', userEnvironment, { PORT: userPort });
}

function runTaskService(port?: string): Promise<ServiceProcess> {
  const userServiceUrl = `http://127.0.0.1:${userPort}`;
  return run('task-service', taskEnvironment, { USER_SERVICE_URL: userServiceUrl, ...(port && { PORT: port }) });
}

async function untilReady(): Promise<void> {
  await Promise.all([userService, ...replicas].map(({ url }) => untilStatus(200, `${url}/health`)));
  // Warm up: on a busy machine the first assignment may time out with 503.
  const assigneeId = await registerUser();
  for (const replica of replicas) {
    await until(
      async () => (await tasksOf(replica).POST('/tasks', { body: { title: 'Buy milk', assigneeId } })).response.ok,
    );
  }
}

async function kill({ child, exited }: ServiceProcess): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

function tasksOf({ url }: ServiceProcess): Client<paths, 'application/json'> {
  return createClient({ baseUrl: url });
}

/** A client of the next replica, round-robin. */
let turn = 0;
function tasks(): Client<paths, 'application/json'> {
  turn += 1;
  return tasksOf(replicas[turn % replicas.length] as ServiceProcess);
}

let registered = 0;
async function registerUser(): Promise<string> {
  registered += 1;
  const body = { name: 'Grace Hopper', email: `grace.${registered}@example.com` };
  const { data } = await users.POST('/register', { body });
  if (!data) throw new Error('no user was registered');
  return data.id;
}

async function createTasks(assigneeId: string, number: number): Promise<string[]> {
  const items = Array.from({ length: number }, (_, index) => ({ title: `task ${index}`, assigneeId }));
  const { data } = await tasks().POST('/tasks/batch', { body: { items } });
  if (!data) throw new Error('no tasks were created');
  return data.items.map(({ id }) => id);
}

async function deleteUser(userId: string): Promise<void> {
  const { response } = await users.DELETE('/users/{userId}', { params: { path: { userId } } });
  expect(response.status).toBe(204);
}

async function countAssigned(userIds: string[]): Promise<number> {
  const text = 'select from task_service.tasks where assignee_id = any ($1)';
  return (await taskDatabase.query(text, [userIds])).rowCount ?? 0;
}

/** How often each task was updated: by its version and by its events. */
async function changesOf(taskIds: string[]): Promise<{ version: number; events: number }[]> {
  const { rows } = await taskDatabase.query<{ version: number; events: number }>(
    `select task.version - 1 as version,
       (select count(*)::int from task_service.events where subject = task.id and type = 'task.updated') as events
     from task_service.tasks as task where id = any ($1) order by id`,
    [taskIds],
  );
  return rows;
}

/** A limit, because a restart takes seconds on a busy machine and the deletions need time between the kills. */
const killsMax = Number(process.env.KILLS ?? 6);

const once = { version: 1, events: 1 };

describe('assignees', () => {
  it('accepts an existing user and returns 409 without a change when the assignee does not exist', async () => {
    const userId = await registerUser();
    const { data } = await tasks().POST('/tasks', { body: { title: 'Prepare the review', assigneeId: userId } });
    expect(data?.assigneeId).toBe(userId);
    const path = { taskId: data?.id ?? '' };

    const before = await taskDatabase.query('select from task_service.tasks');
    const problem = { status: 409, type: '/problems/unknown-assignee' };
    const unknown = { title: 'Buy milk', assigneeId: unknownId };
    expect((await tasks().POST('/tasks', { body: unknown })).error).toMatchObject(problem);
    const batch = { items: [{ title: 'Buy milk', assigneeId: userId }, unknown] };
    expect((await tasks().POST('/tasks/batch', { body: batch })).error).toMatchObject(problem);
    const changes = { status: 'done', assigneeId: unknownId } as const;
    expect((await tasks().PATCH('/tasks/{taskId}', { params: { path }, body: changes })).error).toMatchObject(problem);
    expect((await taskDatabase.query('select from task_service.tasks')).rowCount).toBe(before.rowCount);
    expect((await tasks().GET('/tasks/{taskId}', { params: { path } })).data).toEqual(data);
  });

  it('unassigns each task once, with one event, when two replicas follow the deletion of a user', async () => {
    const userId = await registerUser();
    const taskIds: string[] = [];
    // More tasks than one statement unassigns.
    for (let part = 0; part < 6; part++) taskIds.push(...(await createTasks(userId, 100)));
    await deleteUser(userId);
    await until(async () => (await countAssigned([userId])) === 0);
    expect(await changesOf(taskIds)).toEqual(taskIds.map(() => once));
    const { error } = await tasks().POST('/tasks', { body: { title: 'Buy milk', assigneeId: userId } });
    expect(error).toMatchObject({ status: 409 });
  });

  it('unassigns tasks also when they are assigned while the user is deleted', async () => {
    for (let round = 0; round < 5; round++) {
      const userId = await registerUser();
      // Both replicas have the user in their cache, where it stays after the deletion.
      for (const replica of replicas)
        await tasksOf(replica).POST('/tasks', { body: { title: 'Buy milk', assigneeId: userId } });
      const { data: task } = await tasks().POST('/tasks', { body: { title: 'Buy milk' } });
      const params = { path: { taskId: task?.id ?? '' } };
      let isRejected = false;
      const deadline = Date.now() + 20_000;
      const statuses = new Set<number>();
      const assigning = Array.from({ length: 8 }, async (_, index) => {
        while (!isRejected && Date.now() < deadline) {
          const { response } =
            index % 2
              ? await tasks().POST('/tasks', { body: { title: 'Buy milk', assigneeId: userId } })
              : await tasks().PATCH('/tasks/{taskId}', { params, body: { assigneeId: userId } });
          statuses.add(response.status);
          isRejected = response.status === 409;
        }
      });
      await deleteUser(userId);
      await Promise.all(assigning);
      await until(async () => (await countAssigned([userId])) === 0);
      // At the end of the feed no event is left that could still change a task.
      await untilFollowed();
      expect(await countAssigned([userId])).toBe(0);
      expect([...statuses].filter((status) => ![200, 201, 409].includes(status))).toEqual([]);
    }
  });

  it('waits for transactions that are assigning tasks when it unassigns the tasks of a user', async () => {
    const db = new Database(taskEnvironment, 'task_service', createLogger('task-service', 'silent'));
    db.isMigrated = true;
    const userId = randomUUID();
    const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null } as const;
    // An existing row: the insertion of a new one would wait in any case.
    await taskDatabase.query('insert into task_service.assignees (id) values ($1)', [userId]);
    let unassigning: Promise<void> | undefined;
    let isUnassigned = false;
    await db.transaction(async (transaction) => {
      await insertTasks(transaction, [{ title: 'Buy milk', assigneeId: userId, ...defaults, labels: [] }]);
      unassigning = db
        .transaction((other) => unassign(other, [userId]))
        .then(() => {
          isUnassigned = true;
        });
      await until(async () => isUnassigned || (await isWaitingForLock()));
    });
    await unassigning;
    expect(await countAssigned([userId])).toBe(0);
    await db.end();
  });

  async function isWaitingForLock(): Promise<boolean> {
    const text = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return (await taskDatabase.query(text)).rowCount !== 0;
  }
});

describe('followUsers', () => {
  it('loses no update of a task when clients change the tasks of a deleted user', async () => {
    const userId = await registerUser();
    const taskIds = await createTasks(userId, 5);
    let isDone = false;
    const changing = taskIds.map(async (taskId) => {
      let changes = 0;
      while (!isDone) {
        const { data } = await tasks().PATCH('/tasks/{taskId}', {
          params: { path: { taskId } },
          body: { title: `change ${changes + 1}` },
        });
        if (data) changes += 1;
      }
      return changes;
    });
    try {
      await deleteUser(userId);
      await until(async () => (await countAssigned([userId])) === 0);
      await untilFollowed();
    } finally {
      isDone = true;
    }
    const expected = (await Promise.all(changing)).map((changes) => ({ version: changes + 1, events: changes + 1 }));
    expect(await changesOf(taskIds)).toEqual(expected);
  });

  it('publishes the event of an unassigned task last when its transaction is older than earlier changes', async () => {
    const db = new Database(taskEnvironment, 'task_service', createLogger('task-service', 'silent'));
    db.isMigrated = true;
    const userId = await registerUser();
    let taskId = '';
    await db.transaction(async (older) => {
      await older.query({ text: 'select pg_current_xact_id()' });
      [taskId = ''] = await createTasks(userId, 1);
      await unassign(older, [userId]);
    });
    await db.end();
    const text = 'select version from task_service.events where subject = $1 order by transaction_id, position';
    expect((await taskDatabase.query(text, [taskId])).rows).toEqual([{ version: 1 }, { version: 2 }]);
  });

  it('keeps its cursor and retries when applying an event fails', async () => {
    const userId = await registerUser();
    const taskIds = await createTasks(userId, 5);
    await taskDatabase.query(`
      create function task_service.reject() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
      create trigger reject before update on task_service.tasks for each row when (new.assignee_id is null)
        execute function task_service.reject()`);
    try {
      await deleteUser(userId);
      await until(() => replicas.every((replica) => replica.output().includes('not now')));
      expect(await countAssigned([userId])).toBe(taskIds.length);
    } finally {
      await taskDatabase.query('drop function task_service.reject cascade');
    }
    await until(async () => (await countAssigned([userId])) === 0);
    await untilFollowed();
    expect(await changesOf(taskIds)).toEqual(taskIds.map(() => once));
  });

  it('applies each deletion once when random processes are killed', async () => {
    const seed = Number(process.env.SEED ?? Date.now());
    await killAtRandom(randomBy(seed)).catch((error: unknown) => {
      throw new Error(`with SEED=${seed}: ${String(error)}`, { cause: error });
    });
  }, 60_000);

  async function killAtRandom(random: () => number): Promise<void> {
    const userIds: string[] = [];
    for (let index = 0; index < 30; index++) userIds.push(await registerUser());
    const taskIds: string[] = [];
    for (const userId of userIds) taskIds.push(...(await createTasks(userId, 5)));

    const done = new AbortController();
    let kills = 0;
    const killing = (async () => {
      while (!done.signal.aborted && kills < killsMax) {
        await sleep(random() * 300);
        kills += 1;
        const victim = Math.floor(random() * 3);
        if (victim === 2) {
          await kill(userService);
          userService = await runUserService();
        } else {
          const killed = replicas[victim] as ServiceProcess;
          await kill(killed);
          replicas[victim] = await runTaskService(new URL(killed.url).port);
        }
        await sleep(random() * 500);
      }
    })();
    try {
      for (const userId of userIds) {
        await untilDeleted(userId);
        await sleep(random() * 200);
      }
    } finally {
      done.abort();
      await killing;
    }
    await untilReady();
    await until(async () => (await countAssigned(userIds)) === 0);
    await untilFollowed();
    const changes = await changesOf(taskIds);
    expect(changes).toEqual(taskIds.map(() => once));
    expect(kills).toBeGreaterThan(0);
  }

  it('reads the feed to its end when it has 10,000 events', async () => {
    const userId = await registerUser();
    const taskIds = await createTasks(userId, 50);
    const startedAt = Date.now();
    for (let part = 0; part < 10; part++) {
      await userDatabase.query(`insert into user_service.events (type, subject, version)
        select 'user.updated', gen_random_uuid(), 2 from generate_series(1, 1000)`);
    }
    await deleteUser(userId);
    await until(async () => (await countAssigned([userId])) === 0);
    await untilFollowed();
    expect(await changesOf(taskIds)).toEqual(taskIds.map(() => once));
    if (process.env.FIGURES) console.log(`followed 10,000 events in ${Date.now() - startedAt} ms`);
  }, 60_000);

  /** Repeats the DELETE until it succeeds: the user service may be killed before or during the request. */
  async function untilDeleted(userId: string): Promise<void> {
    const params = { path: { userId } };
    await until(async () => {
      const result = await users.DELETE('/users/{userId}', { params }).catch(() => undefined);
      return result?.response.status === 204 || result?.response.status === 404;
    });
  }
});

/** Waits until the cursor is at the end of the user feed. */
async function untilFollowed(): Promise<void> {
  await until(async () => {
    const { rows: latest } = await userDatabase.query<{ id: string }>(
      `select transaction_id || '-' || position as id from user_service.events
       order by transaction_id desc, position desc limit 1`,
    );
    const { rows: followed } = await taskDatabase.query<{ cursor: string }>('select cursor from task_service.followed');
    return latest[0]?.id === followed[0]?.cursor;
  });
}

describe('feed shutdown', () => {
  const services = [
    { name: 'task-service', path: '/tasks/feed', start: () => runTaskService() },
    { name: 'user-service', path: '/users/feed', start: () => run('user-service', userEnvironment) },
  ];

  for (const { name, path, start } of services) {
    it(`ends long polls and event streams at once and exits with 0 when the ${name} receives SIGTERM`, async () => {
      const service = await start();
      await untilStatus(200, `${service.url}/health`);
      const feed = `${service.url}${path}?cursor=latest`;
      const streams = [await subscribe(feed), await subscribe(feed)];
      const polls = Array.from({ length: 5 }, () => fetch(`${feed}&wait=20`));
      // Responses to later requests prove that the long polls have begun.
      for (let index = 0; index < 5; index++) await fetch(feed);
      service.child.kill('SIGTERM');
      for (const poll of await Promise.all(polls)) {
        expect([poll.status, poll.headers.get('connection')]).toEqual([200, 'close']);
        expect(((await poll.json()) as { items: object[] }).items).toEqual([]);
      }
      for (const stream of streams) expect(await stream.next()).toBeUndefined();
      expect(await service.exited).toBe(0);
      // Less than the 20 s that a long poll waits.
    }, 10_000);
  }

  it('continues an event stream at another replica, without a gap or a duplicate, when one stops', async () => {
    const stopping = await runTaskService();
    await untilStatus(200, `${stopping.url}/health`);
    const received: string[] = [];
    const created: string[] = [];
    const create = async () => {
      const { data } = await tasks().POST('/tasks', { body: { title: 'Buy milk' } });
      created.push(data?.id ?? '');
    };
    const first = await subscribe(`${stopping.url}/tasks/feed?cursor=latest`);
    let lastId = '';
    for (let index = 0; index < 3; index++) {
      await create();
      const event = await first.next();
      received.push(event?.subject ?? '');
      lastId = event?.id ?? '';
    }
    stopping.child.kill('SIGTERM');
    expect(await first.next()).toBeUndefined();
    expect(await stopping.exited).toBe(0);
    await create();
    const second = await subscribe(`${replicas[0]?.url}/tasks/feed`, { 'Last-Event-ID': lastId });
    await create();
    while (received.length < created.length) received.push((await second.next())?.subject ?? '');
    expect(received).toEqual(created);
    second.close();
  });
});

/** Subscribes as an EventSource does; `next` resolves to undefined when the stream has ended. */
async function subscribe(url: string, headers: Record<string, string> = {}) {
  const closing = new AbortController();
  const response = await fetch(url, { headers: { Accept: 'text/event-stream', ...headers }, signal: closing.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    close: () => {
      closing.abort();
    },
    async next(): Promise<{ id: string; subject: string } | undefined> {
      for (;;) {
        const [whole, data] = /^[^]*?data: (.*)\n\n/.exec(text) ?? [];
        if (whole !== undefined && data !== undefined) {
          text = text.slice(whole.length);
          return JSON.parse(data) as { id: string; subject: string };
        }
        const { done, value } = await reader.read();
        if (done) return undefined;
        text += value;
      }
    },
  };
}

/** A reproducible sequence of numbers from 0 to 1. */
function randomBy(seed: number): () => number {
  const thousandths = fc.sample(fc.nat({ max: 1000 }), { seed, numRuns: 5000 });
  return () => (thousandths.pop() ?? 0) / 1001;
}
