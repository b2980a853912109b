/** What joins the services: who may be given a task, and what becomes of it when they are deleted, whatever is killed. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connectionOf, Database } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import { createLogger } from '@task-manager/runtime/http/log';
import fc from 'fast-check';
import createClient, { type Client } from 'openapi-fetch';
import pg from 'pg';
import type { paths } from '../../../generated/task-service.d.ts';
import type { paths as userPaths } from '../../../generated/user-service.d.ts';
import { listen, newEnvironment } from '@task-manager/testing/harness';
import { freePort, runService, until, untilStatus, type Process } from '@task-manager/testing/processes';
import { insertTasks, unassign } from '../src/queries.ts';

const nobody = '01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10';

let taskEnvironment: Config;
let userEnvironment: Config;
let userPort: number;
/** The services as they run now; whoever kills one puts another in its place. */
let replicas: Process[] = [];
let userService: Process;
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

/** Every process, so that none outlives a test that failed. */
const started: Process[] = [];
async function run(...given: Parameters<typeof runService>): Promise<Process> {
  const service = await runService(...given);
  started.push(service);
  return service;
}

function runUserService(): Promise<Process> {
  return run('user-service', userEnvironment, { PORT: userPort });
}

function runTaskService(port?: string, userServiceUrl = `http://127.0.0.1:${userPort}`): Promise<Process> {
  return run('task-service', taskEnvironment, { USER_SERVICE_URL: userServiceUrl, ...(port && { PORT: port }) });
}

async function untilReady(): Promise<void> {
  await Promise.all([userService, ...replicas].map(({ url }) => untilStatus(200, `${url}/health`)));
  // What is asked first compiles first: on a busy machine an assignment may be refused with 503 until then.
  const assigneeId = await registerUser();
  for (const replica of replicas) {
    await until(async () => (await tasksOf(replica).POST('/tasks', { body: { title: 'x', assigneeId } })).response.ok);
  }
}

async function kill({ child, exited }: Process): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

function tasksOf({ url }: Process): Client<paths, 'application/json'> {
  return createClient({ baseUrl: url });
}

/** One replica after the other. */
let turn = 0;
function tasks(): Client<paths, 'application/json'> {
  turn += 1;
  return tasksOf(replicas[turn % replicas.length] as Process);
}

let registered = 0;
async function registerUser(): Promise<string> {
  registered += 1;
  const body = { name: 'Somebody', email: `somebody.${registered}@example.com` };
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

async function assigned(userIds: string[]): Promise<number> {
  const text = 'select from task_service.tasks where assignee_id = any ($1)';
  return (await taskDatabase.query(text, [userIds])).rowCount ?? 0;
}

/** How often each of the tasks was changed since it was created, by its version and by its events. */
async function changesOf(taskIds: string[]): Promise<{ version: number; events: number }[]> {
  const { rows } = await taskDatabase.query<{ version: number; events: number }>(
    `select task.version - 1 as version,
       (select count(*)::int from task_service.events where subject = task.id and type = 'task.updated') as events
     from task_service.tasks as task where id = any ($1) order by id`,
    [taskIds],
  );
  return rows;
}

/** A service that starts needs a second or two on a busy machine; without an end to this nothing would be deleted. */
const killsMax = Number(process.env.KILLS ?? 6);

const once = { version: 1, events: 1 };

describe('a task', () => {
  it('is given to a user, and to nobody else', async () => {
    const userId = await registerUser();
    const { data } = await tasks().POST('/tasks', { body: { title: 'Prepare the review', assigneeId: userId } });
    expect(data?.assigneeId).toBe(userId);
    const path = { taskId: data?.id ?? '' };

    const before = await taskDatabase.query('select from task_service.tasks');
    const problem = { status: 409, type: '/problems/unknown-assignee' };
    const unknown = { title: 'x', assigneeId: nobody };
    expect((await tasks().POST('/tasks', { body: unknown })).error).toMatchObject(problem);
    const batch = { items: [{ title: 'x', assigneeId: userId }, unknown] };
    expect((await tasks().POST('/tasks/batch', { body: batch })).error).toMatchObject(problem);
    const changes = { status: 'done', assigneeId: nobody } as const;
    expect((await tasks().PATCH('/tasks/{taskId}', { params: { path }, body: changes })).error).toMatchObject(problem);
    expect((await taskDatabase.query('select from task_service.tasks')).rowCount).toBe(before.rowCount);
    expect((await tasks().GET('/tasks/{taskId}', { params: { path } })).data).toEqual(data);
  });

  it('is nobody’s when its user was deleted: changed once, told once, by two replicas', async () => {
    const userId = await registerUser();
    const taskIds: string[] = [];
    // More than are taken away by one statement.
    for (let part = 0; part < 6; part++) taskIds.push(...(await createTasks(userId, 100)));
    await deleteUser(userId);
    await until(async () => (await assigned([userId])) === 0);
    expect(await changesOf(taskIds)).toEqual(taskIds.map(() => once));
    const { error } = await tasks().POST('/tasks', { body: { title: 'x', assigneeId: userId } });
    expect(error).toMatchObject({ status: 409 });
  });

  it('is nobody’s also when it was assigned while the user was deleted', async () => {
    for (let round = 0; round < 5; round++) {
      const userId = await registerUser();
      // Both replicas know the user now, and go on believing in them.
      for (const replica of replicas)
        await tasksOf(replica).POST('/tasks', { body: { title: 'x', assigneeId: userId } });
      const { data: task } = await tasks().POST('/tasks', { body: { title: 'x' } });
      const params = { path: { taskId: task?.id ?? '' } };
      let isGone = false;
      const deadline = Date.now() + 20_000;
      const statuses = new Set<number>();
      const assigning = Array.from({ length: 8 }, async (_, index) => {
        while (!isGone && Date.now() < deadline) {
          const { response } =
            index % 2
              ? await tasks().POST('/tasks', { body: { title: 'x', assigneeId: userId } })
              : await tasks().PATCH('/tasks/{taskId}', { params, body: { assigneeId: userId } });
          statuses.add(response.status);
          isGone = response.status === 409;
        }
      });
      await deleteUser(userId);
      await Promise.all(assigning);
      await until(async () => (await assigned([userId])) === 0);
      // To the end of the feed, so that nothing more is to come.
      await untilFollowed();
      expect(await assigned([userId])).toBe(0);
      expect([...statuses].filter((status) => ![200, 201, 409].includes(status))).toEqual([]);
    }
  });

  it('cannot slip in while the tasks of its user are taken away: that waits for who is just assigning', async () => {
    const db = new Database(taskEnvironment, 'task_service', createLogger('task-service', 'silent'));
    db.isMigrated = true;
    const userId = randomUUID();
    const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null } as const;
    // Known already: a new one would have to be waited for in any case.
    await taskDatabase.query('insert into task_service.assignees (id) values ($1)', [userId]);
    let taking: Promise<void> | undefined;
    let isTaken = false;
    await db.transaction(async (transaction) => {
      await insertTasks(transaction, [{ title: 'x', assigneeId: userId, ...defaults, labels: [] }]);
      taking = db
        .transaction((other) => unassign(other, [userId]))
        .then(() => {
          isTaken = true;
        });
      await until(async () => isTaken || (await waitsForLock()));
    });
    await taking;
    expect(await assigned([userId])).toBe(0);
    await db.end();
  });

  async function waitsForLock(): Promise<boolean> {
    const text = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return (await taskDatabase.query(text)).rowCount !== 0;
  }
});

describe('following', () => {
  it('takes also the tasks that others are just changing, and loses none of their changes', async () => {
    const userId = await registerUser();
    const taskIds = await createTasks(userId, 5);
    let isOver = false;
    const changing = taskIds.map(async (taskId) => {
      let changes = 0;
      while (!isOver) {
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
      await until(async () => (await assigned([userId])) === 0);
      await untilFollowed();
    } finally {
      isOver = true;
    }
    const expected = (await Promise.all(changing)).map((changes) => ({ version: changes + 1, events: changes + 1 }));
    expect(await changesOf(taskIds)).toEqual(expected);
  });

  it('tells of it after all that the task has been through, also what began later than the following', async () => {
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

  it('does not move on in the feed when what its events bring about fails', async () => {
    const userId = await registerUser();
    const taskIds = await createTasks(userId, 5);
    await taskDatabase.query(`
      create function task_service.refuse() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
      create trigger refuse before update on task_service.tasks for each row when (new.assignee_id is null)
        execute function task_service.refuse()`);
    try {
      await deleteUser(userId);
      await until(() => replicas.every((replica) => replica.output().includes('not now')));
      expect(await assigned([userId])).toBe(taskIds.length);
    } finally {
      await taskDatabase.query('drop function task_service.refuse cascade');
    }
    await until(async () => (await assigned([userId])) === 0);
    await untilFollowed();
    expect(await changesOf(taskIds)).toEqual(taskIds.map(() => once));
  });

  it('does each deletion once, whoever is killed whenever', async () => {
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

    const over = new AbortController();
    let kills = 0;
    const killing = (async () => {
      while (!over.signal.aborted && kills < killsMax) {
        await sleep(random() * 300);
        kills += 1;
        const victim = Math.floor(random() * 3);
        if (victim === 2) {
          await kill(userService);
          userService = await runUserService();
        } else {
          const killed = replicas[victim] as Process;
          await kill(killed);
          replicas[victim] = await runTaskService(new URL(killed.url).port);
        }
        await sleep(random() * 500);
      }
    })();
    try {
      for (const userId of userIds) {
        await untilGone(userId);
        await sleep(random() * 200);
      }
    } finally {
      over.abort();
      await killing;
    }
    await untilReady();
    await until(async () => (await assigned(userIds)) === 0);
    await untilFollowed();
    const changes = await changesOf(taskIds);
    expect(changes).toEqual(taskIds.map(() => once));
    expect(kills).toBeGreaterThan(0);
  }

  it('reads a feed of 10,000 events to its end', async () => {
    const userId = await registerUser();
    const taskIds = await createTasks(userId, 50);
    const startedAt = Date.now();
    for (let part = 0; part < 10; part++) {
      await userDatabase.query(`insert into user_service.events (type, subject, version)
        select 'user.updated', gen_random_uuid(), 2 from generate_series(1, 1000)`);
    }
    await deleteUser(userId);
    await until(async () => (await assigned([userId])) === 0);
    await untilFollowed();
    expect(await changesOf(taskIds)).toEqual(taskIds.map(() => once));
    if (process.env.FIGURES) console.log(`10,000 events were followed in ${Date.now() - startedAt} ms`);
  }, 60_000);

  /** Deletes a user although the user service may die of it, or be dead already. */
  async function untilGone(userId: string): Promise<void> {
    const params = { path: { userId } };
    await until(async () => {
      const answer = await users.DELETE('/users/{userId}', { params }).catch(() => undefined);
      return answer?.response.status === 204 || answer?.response.status === 404;
    });
  }
});

/** Until the place in the feed of the users is at its end. */
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

describe('SIGTERM', () => {
  const sides = [
    { name: 'task-service', path: '/tasks/feed', start: () => runTaskService() },
    { name: 'user-service', path: '/users/feed', start: () => run('user-service', userEnvironment) },
  ];

  for (const { name, path, start } of sides) {
    it(`ends the long polls and event streams of the ${name} at once, and itself with 0`, async () => {
      const service = await start();
      await untilStatus(200, `${service.url}/health`);
      const feed = `${service.url}${path}?cursor=latest`;
      const streams = [await listenTo(feed), await listenTo(feed)];
      const polls = Array.from({ length: 5 }, () => fetch(`${feed}&wait=20`));
      // What comes after them has its answer, so they have begun.
      for (let index = 0; index < 5; index++) await fetch(feed);
      service.child.kill('SIGTERM');
      for (const poll of await Promise.all(polls)) {
        expect([poll.status, poll.headers.get('connection')]).toEqual([200, 'close']);
        expect(((await poll.json()) as { items: object[] }).items).toEqual([]);
      }
      for (const stream of streams) expect(await stream.next()).toBeUndefined();
      expect(await service.exited).toBe(0);
      // By itself a poll waits for 20 s, and a stream has no end.
    }, 10_000);
  }

  it('lets who heard an event stream go on at another replica: nothing left out, nothing twice', async () => {
    const going = await runTaskService();
    await untilStatus(200, `${going.url}/health`);
    const heard: string[] = [];
    const told: string[] = [];
    const create = async () => {
      const { data } = await tasks().POST('/tasks', { body: { title: 'x' } });
      told.push(data?.id ?? '');
    };
    const first = await listenTo(`${going.url}/tasks/feed?cursor=latest`);
    let lastId = '';
    for (let index = 0; index < 3; index++) {
      await create();
      const event = await first.next();
      heard.push(event?.subject ?? '');
      lastId = event?.id ?? '';
    }
    going.child.kill('SIGTERM');
    expect(await first.next()).toBeUndefined();
    expect(await going.exited).toBe(0);
    await create();
    const second = await listenTo(`${replicas[0]?.url}/tasks/feed`, { 'Last-Event-ID': lastId });
    await create();
    while (heard.length < told.length) heard.push((await second.next())?.subject ?? '');
    expect(heard).toEqual(told);
    second.close();
  });
});

/** Listens as an EventSource does; `next` is undefined when the stream has ended. */
async function listenTo(url: string, headers: Record<string, string> = {}) {
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

describe('without the user service', () => {
  let alone: Process;
  const headers = { 'Content-Type': 'application/json' };
  const post = (body: object) => fetch(`${alone.url}/tasks`, { method: 'POST', headers, body: JSON.stringify(body) });

  beforeEach(async () => {
    alone = await runTaskService(undefined, `http://127.0.0.1:${await freePort()}`);
    await untilStatus(200, `${alone.url}/health`);
  });
  afterEach(() => kill(alone));

  it('refuses to assign with 503 and Retry-After, and does all else', async () => {
    const refused = await post({ title: 'x', assigneeId: nobody });
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ detail: 'The user service cannot be reached.' });
    const created = await post({ title: 'x' });
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: string };
    const url = `${alone.url}/tasks/${id}`;
    const finish = { method: 'PATCH', headers, body: '{"status":"done","assigneeId":null}' };
    expect((await fetch(url, finish)).status).toBe(200);
    expect((await fetch(url, { ...finish, body: `{"assigneeId":"${nobody}"}` })).status).toBe(503);
    expect((await fetch(`${alone.url}/tasks?assigneeId=${nobody}`)).status).toBe(200);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(204);
  });

  it('waits for one that hangs only so long, and meanwhile serves the others', async () => {
    const hanging = createServer(() => undefined);
    const slow = await runTaskService(undefined, await listen(hanging));
    await untilStatus(200, `${slow.url}/health`);
    const bodies = Array.from({ length: 30 }, () => JSON.stringify({ title: 'x', assigneeId: nobody }));
    const waiting = bodies.map((body) => fetch(`${slow.url}/tasks`, { method: 'POST', headers, body }));
    const other = await fetch(`${slow.url}/tasks`, { method: 'POST', headers, body: '{"title":"x"}' });
    expect(other.status).toBe(201);
    for (const answer of await Promise.all(waiting)) {
      expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '1']);
    }
    await kill(slow);
    hanging.closeAllConnections();
    hanging.close();
  });
});

/** The same numbers from 0 to 1 for the same seed. */
function randomBy(seed: number): () => number {
  const thousandths = fc.sample(fc.nat({ max: 1000 }), { seed, numRuns: 5000 });
  return () => (thousandths.pop() ?? 0) / 1001;
}
