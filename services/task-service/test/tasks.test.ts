import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from '../../../generated/task-service.d.ts';
import { serve, type TestService } from '../../runtime/test/harness.ts';
import { taskHandlers } from '../src/handlers.ts';
import { Users } from '../src/users.ts';

/** No test here gives a task to anybody: assignment.test.ts does. */
const nobody = new Users('http://localhost:1');

let service: TestService;
let api: Client<paths, 'application/json'>;

beforeAll(async () => {
  service = await serve('task-service', (health) => taskHandlers(health, nobody));
  api = createClient<paths, 'application/json'>({ baseUrl: service.url });
});
afterAll(() => service.stop());

/** Creates a task that the test can count on. */
async function createTask(title: string) {
  const { data } = await api.POST('/tasks', { body: { title } });
  if (!data) throw new Error('no task was created');
  return data;
}

/** Every page of the list, `limit` tasks each. */
async function* pagesOf(limit: number) {
  let cursor: string | undefined;
  do {
    const { data } = await api.GET('/tasks', { params: { query: { limit, ...(cursor && { cursor }) } } });
    if (!data) throw new Error('the list was refused');
    yield data.items;
    cursor = data.nextCursor ?? undefined;
  } while (cursor);
}

describe('createTask', () => {
  it('answers 201 with the task and where it is', async () => {
    const { data, response } = await api.POST('/tasks', { body: { title: 'Buy milk', description: '2L whole' } });
    expect(response.status).toBe(201);
    expect(data).toEqual({
      id: expect.any(String),
      title: 'Buy milk',
      description: '2L whole',
      status: 'todo',
      priority: 'normal',
      dueDate: null,
      assigneeId: null,
      labels: [],
      createdAt: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updatedAt: data?.createdAt,
      completedAt: null,
      version: 1,
    });
    expect(response.headers.get('Location')).toBe(`/tasks/${data?.id}`);
  });

  it('answers a description that was left out as ""', async () => {
    const { data } = await api.POST('/tasks', { body: { title: 'Call the plumber' } });
    expect(data?.description).toBe('');
  });

  it('counts characters, not UTF-16 units', async () => {
    expect((await api.POST('/tasks', { body: { title: '🥛'.repeat(200) } })).response.status).toBe(201);
    const { error } = await api.POST('/tasks', { body: { title: '🥛'.repeat(201) } });
    expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/body/title', code: 'maxLength' }] });
  });

  it('stores text as it came', async () => {
    const title = ' "quotes" \\ \u007f ﷽ e\u0301 \u2028 </script> ';
    const task = await createTask(title);
    expect(task.title).toBe(title);
    const { data } = await api.GET('/tasks/{taskId}', { params: { path: { taskId: task.id } } });
    expect(data?.title).toBe(title);
  });

  it('names each place that breaks a rule', async () => {
    const { error, response } = await api.POST('/tasks', { body: { title: '', description: 'x'.repeat(10_001) } });
    expect(response.headers.get('Content-Type')).toMatch('application/problem+json');
    expect(error).toMatchObject({
      type: '/problems/invalid-request',
      status: 400,
      instance: '/tasks',
      requestId: response.headers.get('X-Request-Id'),
      errors: [
        { pointer: '/body/title', code: 'minLength' },
        { pointer: '/body/description', code: 'maxLength' },
      ],
    });
  });
});

describe('listTasks', () => {
  it('lists the newest first, 50 if nothing is said', async () => {
    const titles = Array.from({ length: 51 }, (_, index) => `task ${index}`);
    for (const title of titles) await createTask(title);
    const { data } = await api.GET('/tasks');
    expect(data?.items.map((task) => task.title)).toEqual(titles.slice(1).reverse());
    expect(data?.nextCursor).toEqual(expect.any(String));
  });

  it('lists each task once, in pages of any size, while others are added', async () => {
    const mine = await Promise.all(Array.from({ length: 25 }, (_, index) => createTask(`mine ${index}`)));
    const seen: string[] = [];
    for await (const page of pagesOf(7)) {
      expect(page.length).toBeLessThanOrEqual(7);
      seen.push(...page.map((task) => task.id));
      await createTask('added meanwhile');
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(mine.map((task) => task.id)));
    expect(seen).toEqual([...seen].sort().reverse());
  });

  it('ends with a null cursor, also when the last page is full', async () => {
    const { rows } = await service.db.pool.query<{ count: string }>('select count(*) from task_service.tasks');
    const missing = 100 - (Number(rows[0]?.count) % 100);
    await Promise.all(Array.from({ length: missing }, () => createTask('fill the page')));
    const sizes: number[] = [];
    for await (const page of pagesOf(100)) sizes.push(page.length);
    expect(sizes.every((size) => size === 100)).toBe(true);
  });

  it('refuses a cursor that it did not give', async () => {
    const { data: page } = await api.GET('/tasks', { params: { query: { limit: 1 } } });
    const foreign = Buffer.from(JSON.stringify(['listUsers', page?.items[0]?.id])).toString('base64url');
    const notAnId = Buffer.from(JSON.stringify(['listTasks', '1'])).toString('base64url');
    for (const cursor of ['x', 'bm90IEpTT04', 'bnVsbA', foreign, notAnId]) {
      const { error } = await api.GET('/tasks', { params: { query: { cursor } } });
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/cursor' }] });
    }
  });

  it('refuses a limit out of range', async () => {
    for (const limit of [0, 101, 1.5]) {
      const { error } = await api.GET('/tasks', { params: { query: { limit } } });
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/limit' }] });
    }
  });
});

describe('getTask', () => {
  it('answers with the task that was created', async () => {
    const task = await createTask('Find me');
    const { data } = await api.GET('/tasks/{taskId}', { params: { path: { taskId: task.id } } });
    expect(data).toEqual(task);
  });

  it('answers 404 for an id that no task has', async () => {
    const taskId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
    const { error } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
    expect(error).toMatchObject({ type: '/problems/not-found', status: 404, title: 'Not found' });
  });

  it('answers 400 for what is no id', async () => {
    for (const taskId of ['1', "' or 1=1", '01939C2E-7A41-7C3E-9D5B-2F1C8A6E4B70']) {
      const { error } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
      expect(error).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/path/taskId' })]),
      });
    }
  });
});
