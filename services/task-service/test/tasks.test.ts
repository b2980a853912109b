import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import createClient, { type Client } from 'openapi-fetch';
import { parse } from 'yaml';
import type { components, paths } from '../../../generated/task-service.d.ts';
import { serve, type TestService } from '@task-manager/testing/harness';
import { taskHandlers } from '../src/handlers.ts';
import { deleteTask, updateTask } from '../src/queries.ts';
import { createUserClient, UserDirectory } from '../src/user-client.ts';
import { alice, bob, serveUsers } from './stub-users.ts';

const contract = parse(readFileSync(new URL('../../../generated/task-service.yaml', import.meta.url), 'utf8')) as {
  components: {
    schemas: {
      Status: { enum: components['schemas']['Status'][] };
      Priority: { enum: components['schemas']['Priority'][] };
    };
  };
};

let users: Awaited<ReturnType<typeof serveUsers>>;
let service: TestService;
let api: Client<paths, 'application/json'>;

beforeAll(async () => {
  users = await serveUsers();
  service = await serve('task-service', (health) =>
    taskHandlers(health, new UserDirectory(createUserClient(users.url))),
  );
  api = createClient<paths, 'application/json'>({ baseUrl: service.url });
});
afterAll(async () => {
  users.stop();
  await service.stop();
});

async function createTask(title: string) {
  const { data } = await api.POST('/tasks', { body: { title } });
  if (!data) throw new Error('no task was created');
  return data;
}

/** Every page of the list, with up to `limit` tasks each. */
async function* pagesOf(limit: number) {
  let cursor: string | undefined;
  do {
    const { data } = await api.GET('/tasks', { params: { query: { limit, ...(cursor && { cursor }) } } });
    if (!data) throw new Error('the list was rejected');
    yield data.items;
    cursor = data.nextCursor ?? undefined;
  } while (cursor);
}

describe('createTask', () => {
  it('returns 201 with the task and its Location', async () => {
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

  it('returns an empty description when the request has none', async () => {
    const { data } = await api.POST('/tasks', { body: { title: 'Call the plumber' } });
    expect(data?.description).toBe('');
  });

  it('counts characters, not UTF-16 units, in the length of a title', async () => {
    expect((await api.POST('/tasks', { body: { title: '🥛'.repeat(200) } })).response.status).toBe(201);
    const { error } = await api.POST('/tasks', { body: { title: '🥛'.repeat(201) } });
    expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/body/title', code: 'maxLength' }] });
  });

  it('stores text unchanged', async () => {
    const title = ' "quotes" \\ \u007f ﷽ e\u0301 \u2028 </script> ';
    const task = await createTask(title);
    expect(task.title).toBe(title);
    const { data } = await api.GET('/tasks/{taskId}', { params: { path: { taskId: task.id } } });
    expect(data?.title).toBe(title);
  });

  it('accepts every status and priority of the contract', async () => {
    const { Status, Priority } = contract.components.schemas;
    for (const status of Status.enum) {
      const { data } = await api.POST('/tasks', { body: { title: 'Buy milk', status } });
      expect(data).toMatchObject({ status, completedAt: status === 'done' ? data?.createdAt : null });
    }
    for (const priority of Priority.enum) {
      expect((await api.POST('/tasks', { body: { title: 'Buy milk', priority } })).data?.priority).toBe(priority);
    }
    expect([Status.enum.length, Priority.enum.length]).toEqual([3, 3]);
  });

  it('accepts every calendar date and returns 400 when the due date is not one', async () => {
    for (const dueDate of ['0001-01-01', '2000-02-29', '2024-02-29', '2026-12-24', '9999-12-31', null]) {
      expect((await api.POST('/tasks', { body: { title: 'Buy milk', dueDate } })).data?.dueDate).toBe(dueDate);
    }
    for (const dueDate of [
      '2026-02-30',
      '2026-02-29',
      '1900-02-29',
      '2026-04-31',
      '0000-01-01',
      '-0001-01-01',
      '10000-01-01',
      '2026-13-01',
      '2026-00-10',
      '2026-12-00',
      '20261224',
      '2026-1-1',
      '',
      '2026-12-24T00:00:00Z',
    ]) {
      const { error } = await api.POST('/tasks', { body: { title: 'Buy milk', dueDate } });
      const errors = expect.arrayContaining([expect.objectContaining({ pointer: '/body/dueDate' })]);
      expect({ dueDate, error }).toMatchObject({ error: { status: 400, errors } });
    }
  });

  it('stores 10,000 characters of description and returns 400 when there are more', async () => {
    const description = '🥛'.repeat(10_000);
    const { data } = await api.POST('/tasks', { body: { title: 'Buy milk', description } });
    expect(data?.description).toBe(description);
    const { error } = await api.POST('/tasks', { body: { title: 'Buy milk', description: `${description}!` } });
    expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/body/description', code: 'maxLength' }] });
  });

  it('rejects invalid values by a database constraint when a statement bypasses the contract', async () => {
    const check = '23514';
    for (const [column, value, code] of [
      ['title', "''", check],
      ['title', "repeat('x', 201)", check],
      ['title', 'null', '23502'],
      ['description', "repeat('x', 10001)", check],
      ['status', "'open'", check],
      ['status', "'done'", check],
      ['completed_at', 'now()', check],
      ['priority', "'urgent'", '22P02'],
      ['labels', "array_fill('x'::text, array[21])", check],
      ['version', '0', check],
    ] as const) {
      const { id } = await createTask('Buy milk');
      const update = service.db.pool.query(`update task_service.tasks set ${column} = ${value} where id = $1`, [id]);
      await expect(update.then(() => `${column} ${value} was accepted`)).rejects.toMatchObject({ code });
    }
  });

  it('stores up to 20 unique labels unchanged and returns 400 when they are invalid', async () => {
    const twenty = Array.from({ length: 20 }, (_, index) => `label ${19 - index}`);
    for (const labels of [[], twenty, ['🥛'.repeat(50), ' ', '{"a,b}', 'NULL', '\\']]) {
      expect((await api.POST('/tasks', { body: { title: 'Buy milk', labels } })).data?.labels).toEqual(labels);
    }
    for (const labels of [[...twenty, 'work'], ['home', 'home'], [''], ['x'.repeat(51)], ['a\0']]) {
      const { error } = await api.POST('/tasks', { body: { title: 'Buy milk', labels } });
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: expect.stringMatching(/^\/body\/labels/) }] });
    }
  });

  it('lists every invalid field when several are invalid', async () => {
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

describe('createTasks', () => {
  const newTasks = (count: number) => Array.from({ length: count }, (_, index) => ({ title: `Task ${index}` }));
  const post = (items: { title: string }[]) => api.POST('/tasks/batch', { body: { items } });

  it('creates up to 100 tasks and returns them in the order of the request', async () => {
    for (const number of [1, 100]) {
      const { data, response } = await post(newTasks(number));
      expect(response.status).toBe(201);
      expect(data?.items.map(({ title }) => title)).toEqual(newTasks(number).map(({ title }) => title));
      expect(data?.items[0]).toMatchObject({ status: 'todo', labels: [], version: 1 });
    }
  });

  it('stores no task and names the invalid one when one of them is invalid', async () => {
    const before = await countTasks();
    const { error } = await post([...newTasks(3), { title: '' }, ...newTasks(3)]);
    expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/body/items/3/title', code: 'minLength' }] });
    for (const number of [0, 101]) {
      expect((await post(newTasks(number))).error).toMatchObject({ status: 400, errors: [{ pointer: '/body/items' }] });
    }
    expect(await countTasks()).toBe(before);
  });

  async function countTasks(): Promise<number> {
    return (await service.db.pool.query('select from task_service.tasks')).rowCount ?? 0;
  }
});

describe('updateTask', () => {
  async function update(taskId: string, body: components['schemas']['TaskChanges']) {
    return (await api.PATCH('/tasks/{taskId}', { params: { path: { taskId } }, body })).data;
  }

  it('sets completedAt when the status becomes done, keeps it while done and clears it when it is reopened', async () => {
    const { id } = await createTask('Buy milk');
    const done = await update(id, { status: 'done' });
    expect(done).toMatchObject({ status: 'done', completedAt: done?.updatedAt, version: 2 });
    const renamed = await update(id, { title: 'Buy oat milk', status: 'done' });
    expect(renamed?.completedAt).toBe(done?.completedAt);
    expect(await update(id, { status: 'in-progress' })).toMatchObject({ completedAt: null });
  });

  it('accepts every status and priority and returns 400 when the due date is invalid', async () => {
    const { Status, Priority } = contract.components.schemas;
    const { id } = await createTask('Buy milk');
    for (const status of Status.enum) expect((await update(id, { status }))?.status).toBe(status);
    for (const priority of Priority.enum) expect((await update(id, { priority }))?.priority).toBe(priority);
    for (const dueDate of ['0001-01-01', '2024-02-29', '9999-12-31']) {
      expect((await update(id, { dueDate }))?.dueDate).toBe(dueDate);
    }
    const path = { taskId: id };
    for (const dueDate of ['2026-02-30', '0000-01-01', '2026-12-24T00:00:00Z']) {
      const { error } = await api.PATCH('/tasks/{taskId}', { params: { path }, body: { dueDate } });
      const errors = expect.arrayContaining([expect.objectContaining({ pointer: '/body/dueDate' })]);
      expect(error).toMatchObject({ status: 400, errors });
    }
    expect((await update(id, {}))?.dueDate).toBe('9999-12-31');
  });

  it('assigns, reassigns and unassigns a task', async () => {
    const { id } = await createTask('Buy milk');
    for (const assigneeId of [alice, bob, null]) {
      expect(await update(id, { assigneeId })).toMatchObject({ assigneeId });
    }
  });

  it('clears nullable fields with null, replaces all labels and returns 400 when a field is not nullable', async () => {
    const body = { title: 'Buy milk', dueDate: '2026-12-24', labels: ['a', 'b'] };
    const { data: task } = await api.POST('/tasks', { body });
    const id = task?.id ?? '';
    expect(await update(id, { dueDate: null })).toMatchObject({ dueDate: null, labels: ['a', 'b'] });
    expect(await update(id, { labels: ['c'] })).toMatchObject({ labels: ['c'], title: 'Buy milk' });
    expect(await update(id, { labels: [] })).toMatchObject({ labels: [] });
    for (const field of ['title', 'description', 'status', 'priority', 'labels']) {
      const { error } = await api.PATCH('/tasks/{taskId}', {
        params: { path: { taskId: id } },
        body: { [field]: null },
      });
      const errors = expect.arrayContaining([expect.objectContaining({ pointer: `/body/${field}` })]);
      expect(error).toMatchObject({ status: 400, errors });
    }
  });
});

describe('listTasks', () => {
  it('returns the 50 newest tasks first when the request has no limit', async () => {
    const titles = Array.from({ length: 51 }, (_, index) => `Task ${index}`);
    for (const title of titles) await createTask(title);
    const { data } = await api.GET('/tasks');
    expect(data?.items.map((task) => task.title)).toEqual(titles.slice(1).reverse());
    expect(data?.nextCursor).toEqual(expect.any(String));
  });

  it('returns each task once over all pages when tasks are created between the pages', async () => {
    const tasks = await Promise.all(Array.from({ length: 25 }, (_, index) => createTask(`Task ${index}`)));
    const seen: string[] = [];
    for await (const page of pagesOf(7)) {
      expect(page.length).toBeLessThanOrEqual(7);
      seen.push(...page.map((task) => task.id));
      await createTask('Buy milk');
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(tasks.map((task) => task.id)));
    expect(seen).toEqual([...seen].sort().reverse());
  });

  it('returns a null cursor at the end when the last page is full', async () => {
    const { rows } = await service.db.pool.query<{ count: string }>('select count(*) from task_service.tasks');
    const missing = 100 - (Number(rows[0]?.count) % 100);
    await Promise.all(Array.from({ length: missing }, () => createTask('Buy milk')));
    const sizes: number[] = [];
    for await (const page of pagesOf(100)) sizes.push(page.length);
    expect(sizes.every((size) => size === 100)).toBe(true);
  });

  it('finds words in title and description in any case', async () => {
    const taskIds = await Promise.all(
      [
        { title: 'Prepare the Quarterly audit', description: 'Zahlen für München' },
        { title: 'Audit the ledger', description: 'quarterly, as ever' },
        { title: 'Ledgers' },
      ].map(async (body) => (await api.POST('/tasks', { body })).data?.id),
    );
    for (const [q, found] of [
      ['quarterly', [1, 0]],
      ['QUARTERLY audit', [1, 0]],
      ['"quarterly audit"', [0]],
      ['"audit quarterly"', []],
      ['"quarterly', [1, 0]],
      ['audit -quarterly', []],
      ['...', []],
      ['münchen', [0]],
      ['ledger', [1]],
      ['quarterly -ledger', [0]],
      ['ledgers or münchen', [2, 0]],
      ['quarterly nowhere', []],
      ['!!!', []],
      ["'); drop table task_service.tasks; --", []],
    ] as const) {
      const { data } = await api.GET('/tasks', { params: { query: { q } } });
      expect([q, data?.items.map(({ id }) => id)]).toEqual([q, found.map((index) => taskIds[index])]);
    }
  });

  it('excludes both bounds, and tasks without a due date, when the list is filtered by due date', async () => {
    const label = 'due bounds';
    for (const dueDate of ['2026-12-23', '2026-12-24', '2026-12-25', null]) {
      await api.POST('/tasks', { body: { title: 'Buy milk', dueDate, labels: [label] } });
    }
    const found = async (query: object) =>
      (await api.GET('/tasks', { params: { query: { label, sort: 'dueDate', ...query } } })).data?.items.map(
        ({ dueDate }) => dueDate,
      );
    expect(await found({})).toEqual(['2026-12-23', '2026-12-24', '2026-12-25', null]);
    expect(await found({ sort: '-dueDate' })).toEqual(['2026-12-25', '2026-12-24', '2026-12-23', null]);
    expect(await found({ dueBefore: '2026-12-25' })).toEqual(['2026-12-23', '2026-12-24']);
    expect(await found({ dueAfter: '2026-12-23' })).toEqual(['2026-12-24', '2026-12-25']);
    expect(await found({ dueAfter: '2026-12-23', dueBefore: '2026-12-25' })).toEqual(['2026-12-24']);
    expect(await found({ dueAfter: '2026-12-25', dueBefore: '2026-12-23' })).toEqual([]);
  });

  it('returns only tasks that match every filter', async () => {
    const labels = ['filtered', 'Finance'];
    const matching = {
      title: 'Review the budget',
      labels,
      status: 'done',
      assigneeId: alice,
      dueDate: '2026-12-24',
    } as const;
    const { data: match } = await api.POST('/tasks', { body: { ...matching, labels } });
    for (const other of [
      { status: 'todo' as const },
      { assigneeId: bob },
      { assigneeId: null },
      { labels: ['filtered', 'finance'] },
      { dueDate: '2026-12-31' },
      { dueDate: '2026-12-01' },
      { dueDate: null },
      { title: 'Review the plan' },
    ]) {
      expect((await api.POST('/tasks', { body: { ...matching, labels, ...other } })).response.status).toBe(201);
    }
    const filters = { status: 'done', assigneeId: alice, dueBefore: '2026-12-31', dueAfter: '2026-12-01', q: 'budget' };
    const all = { ...filters, label: 'Finance' };
    for (const sort of sorts) {
      expect(await fetchIds({ ...all, sort })).toEqual([match?.id]);
      for (const omitted of Object.keys(all)) {
        const others = Object.fromEntries(Object.entries(all).filter(([name]) => name !== omitted));
        expect((await fetchIds({ ...others, sort, limit: 100 })).length).toBeGreaterThan(1);
      }
    }
    expect(await fetchIds({ assigneeId: '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70' })).toEqual([]);
  });

  it('sorts by each key, then by id, with tasks without a due date last', async () => {
    const label = 'sorted';
    const [days, priorities] = [
      ['2026-12-24', null, '0001-01-01', '9999-12-31'],
      contract.components.schemas.Priority.enum,
    ];
    const tasks: components['schemas']['Task'][] = [];
    for (let index = 0; index < 16; index++) {
      const [dueDate, priority] = [days[index % 4] ?? null, priorities[index % 3] ?? 'normal'];
      const { data } = await api.POST('/tasks', { body: { title: 'Buy milk', dueDate, priority, labels: [label] } });
      if (data) tasks.push(data);
    }
    // One updatedAt for several tasks, as after one statement, so that their ids decide the order.
    await service.db.pool.query(
      "update task_service.tasks set updated_at = '2026-11-23T09:30:00Z' where labels = '{sorted}' and priority = 'low'",
    );
    for (const task of tasks) if (task.priority === 'low') task.updatedAt = '2026-11-23T09:30:00.000Z';
    const rank = ({ priority }: { priority: string }) => String(priorities.indexOf(priority as 'low'));
    const keys = {
      createdAt: () => '',
      dueDate: (task: (typeof tasks)[number]) => task.dueDate,
      updatedAt: (task: (typeof tasks)[number]) => task.updatedAt,
      priority: rank,
    };
    for (const sort of sorts) {
      const keyOf = keys[sort.replace('-', '') as keyof typeof keys];
      const sign = sort.startsWith('-') || sort === 'priority' ? -1 : 1;
      const expected = [...tasks].sort((one, other) => {
        const [key, otherKey] = [keyOf(one), keyOf(other)];
        if (key === null || otherKey === null) {
          if (key !== otherKey) return key === null ? 1 : -1;
        } else if (key !== otherKey) return key < otherKey ? -sign : sign;
        return one.id < other.id ? -sign : sign;
      });
      const ids = expected.map(({ id }) => id);
      // With the label, matches are collected and sorted; without it, an index has the order.
      for (const limit of [3, 100]) expect([sort, await readIds({ sort, label, limit })]).toEqual([sort, ids]);
      const allIds = await readIds({ sort, limit: 100 });
      expect([sort, allIds.filter((id) => ids.includes(id))]).toEqual([sort, ids]);
      expect(new Set(allIds).size).toBe(allIds.length);
    }
  });

  it('accepts a cursor when the filters are in another order', async () => {
    const { data } = await api.GET('/tasks', { params: { query: { status: 'todo', sort: 'createdAt', limit: 1 } } });
    const response = await fetch(`${service.url}/tasks?cursor=${data?.nextCursor}&sort=createdAt&limit=1&status=todo`);
    expect(response.status).toBe(200);
  });

  it('returns 400 when the key of a cursor is invalid for its sort', async () => {
    for (const [sort, wrong] of [
      [
        'dueDate',
        ['2026-02-30', '0000-12-24', '10000000-01-01', 'infinity', 'today', '', '\0', 7, true, {}, ['2026-12-24']],
      ],
      ['-dueDate', ['2026-13-01', 'no day', 7]],
      ['priority', ['urgent', 'High', 'toString', '', '\0', 2, null, {}]],
      ['-updatedAt', ['yesterday', 'now', '-infinity', '2026-99-99', '2026-11-23T25:00:00Z', '', 7, null, []]],
    ] as const) {
      const label = `forged ${sort}`;
      for (const dueDate of ['2026-12-24', '2026-12-25']) {
        await api.POST('/tasks', { body: { title: 'Buy milk', dueDate, labels: [label] } });
      }
      for (const filter of [{}, { label }]) {
        const query = { ...filter, sort, limit: 1 };
        const { data } = await api.GET('/tasks', { params: { query } });
        const [name, id] = JSON.parse(Buffer.from(data?.nextCursor ?? '', 'base64url').toString()) as string[];
        for (const key of wrong) {
          const cursor = Buffer.from(JSON.stringify([name, id, key])).toString('base64url');
          const { error } = await api.GET('/tasks', { params: { query: { ...query, cursor } } });
          expect({ sort, key, error }).toMatchObject({
            error: { status: 400, errors: [{ pointer: '/query/cursor' }] },
          });
        }
      }
    }
  });

  const sorts = ['createdAt', '-createdAt', 'dueDate', '-dueDate', '-updatedAt', 'priority'] as const;

  async function fetchIds(query: Record<string, string | number>): Promise<string[]> {
    const { data } = await api.GET('/tasks', { params: { query } });
    return data?.items.map(({ id }) => id) ?? [];
  }

  /** The ids of every page of the list. */
  async function readIds(query: Record<string, string | number>): Promise<string[]> {
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const { data } = await api.GET('/tasks', { params: { query: { ...query, ...(cursor && { cursor }) } } });
      if (!data) throw new Error('the list was rejected');
      ids.push(...data.items.map(({ id }) => id));
      cursor = data.nextCursor ?? undefined;
    } while (cursor);
    return ids;
  }

  it('returns 400 with the pointer of the parameter when a filter is invalid', async () => {
    for (const query of [
      'status=open',
      'assigneeId=1',
      'label=',
      'label=%00',
      'dueBefore=2026-02-30',
      'dueAfter=0000-01-01',
      'q=%00',
      'q=',
      'sort=title',
    ]) {
      const response = await fetch(`${service.url}/tasks?${query}`);
      const { errors } = (await response.json()) as { errors: object[] };
      const pointer = `/query/${query.split('=', 1)[0]}`;
      expect({ query, status: response.status, errors }).toMatchObject({ query, status: 400 });
      expect(errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer })]));
    }
    for (const name of ['q', 'label']) {
      for (const unstorable of ['%ED%A0%80', 'a%ED%BF%BFb', '%00', 'a%00b']) {
        expect((await fetch(`${service.url}/tasks?${name}=${unstorable}`)).status).toBe(400);
      }
    }
  });

  it('accepts encoded, quoted and reserved characters in a query', async () => {
    for (const query of ['q=two+words', 'q=a%2Bb', 'label=a/b:c@d', "q='x'", 'q=%22%22', 'q=(a|b)%26!']) {
      expect([query, (await fetch(`${service.url}/tasks?${query}`)).status]).toEqual([query, 200]);
    }
  });

  it('returns 400 when a cursor is forged or belongs to other filters or another sort', async () => {
    await createTask('Buy milk');
    await createTask('Buy bread');
    const query = { limit: 1, sort: '-updatedAt', status: 'todo' } as const;
    const { data: page } = await api.GET('/tasks', { params: { query } });
    const cursor = page?.nextCursor ?? '';
    expect((await api.GET('/tasks', { params: { query: { ...query, cursor } } })).response.status).toBe(200);
    expect((await api.GET('/tasks', { params: { query: { ...query, limit: 7, cursor } } })).response.status).toBe(200);
    const [name, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as string[];
    const forged = [
      ['x', id, null],
      [name, '1', null],
      [name, id],
      [name, id, 7],
      [name, id, {}],
      [name],
      null,
      'text',
      7,
    ];
    for (const other of [
      { cursor },
      { ...query, cursor, status: 'done' as const },
      { ...query, cursor, sort: '-createdAt' as const },
      { ...query, cursor, label: 'home' },
      { ...query, cursor: 'bm90IEpTT04' },
      ...forged.map((parts) => ({ ...query, cursor: Buffer.from(JSON.stringify(parts)).toString('base64url') })),
    ]) {
      const { error } = await api.GET('/tasks', { params: { query: other } });
      expect({ other, error }).toMatchObject({ error: { status: 400, errors: [{ pointer: '/query/cursor' }] } });
    }
  });

  it('returns 400 when the limit is out of range', async () => {
    for (const limit of [0, 101, 1.5]) {
      const { error } = await api.GET('/tasks', { params: { query: { limit } } });
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/limit' }] });
    }
  });
});

describe('getTask', () => {
  it('returns the task', async () => {
    const task = await createTask('Buy milk');
    const { data } = await api.GET('/tasks/{taskId}', { params: { path: { taskId: task.id } } });
    expect(data).toEqual(task);
  });

  it('returns 404 when the task does not exist', async () => {
    const taskId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
    const { error } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
    expect(error).toMatchObject({ type: '/problems/not-found', status: 404, title: 'Not found' });
  });

  it('returns 404 when the task was deleted', async () => {
    const { id } = await createTask('Delete the old invoices');
    const params = { path: { taskId: id } };
    expect((await api.DELETE('/tasks/{taskId}', { params })).response.status).toBe(204);
    expect((await api.GET('/tasks/{taskId}', { params })).error).toMatchObject({ status: 404 });
    expect((await api.GET('/tasks', { params: { query: { q: 'Delete' } } })).data?.items).toEqual([]);
  });

  it('returns 400 when the id is invalid', async () => {
    for (const taskId of ['1', "' or 1=1", '01939C2E-7A41-7C3E-9D5B-2F1C8A6E4B70']) {
      const { error } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
      expect(error).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/path/taskId' })]),
      });
    }
  });
});

describe('listTaskEvents', () => {
  it('returns the events of a task in version order when an older transaction changes the task last', async () => {
    const { data: before } = await api.GET('/tasks/feed', { params: { query: { cursor: 'latest', limit: 1 } } });
    await service.db.transaction(async (older) => {
      await older.query({ text: 'select pg_current_xact_id()' });
      const { id: taskId } = await createTask('Buy milk');
      await api.PATCH('/tasks/{taskId}', { params: { path: { taskId } }, body: { status: 'done' } });
      await updateTask(older, taskId, { title: 'Buy oat milk' }, null);
      await deleteTask(older, taskId, null);
    });
    const query = { limit: 100, ...(before?.nextCursor && { cursor: before.nextCursor }) };
    const { data } = await api.GET('/tasks/feed', { params: { query } });
    expect(data?.items.map(({ type, data: { version } }) => `${type} ${version}`)).toEqual([
      'task.created 1',
      'task.updated 2',
      'task.updated 3',
      'task.deleted 3',
    ]);
  });
});
