import { describe, expect, it } from '@jest/globals';
import { api, contract, createTask, service } from './task-api.ts';

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
    for (const labels of [[], twenty, ['🥛'.repeat(50), ' x ', '{"a,b}', 'NULL', '\\', 'two\nlines']]) {
      const { data } = await api.POST('/tasks', { body: { title: 'Buy milk', labels } });
      expect(data?.labels).toEqual(labels);
      const params = { path: { taskId: data?.id ?? '' } };
      expect((await api.GET('/tasks/{taskId}', { params })).data?.labels).toEqual(labels);
    }
    for (const labels of [
      [...twenty, 'work'],
      ['home', 'home'],
      [''],
      ['x'.repeat(51)],
      ['a\0'],
      [' '],
      ['a', '\u200b'],
    ]) {
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
