import { describe, expect, it } from '@jest/globals';
import type { components } from '../../../generated/task-service.d.ts';
import { alice, bob } from './stub-users.ts';
import { api, contract, createTask, service } from './task-api.ts';

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
      ['ledger', [2, 1]],
      ['"ledger"', [1]],
      ['ledgers -ledger', [2]],
      ['quarterly -ledger', [0]],
      ['quarterly - audit', [1, 0]],
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
    const repeated = ['-', '"', '(', '!', 'a ', 'or ', '-a ', '東', '\ufdfa', '㌖', '🚀'].map(
      (text) => `q=${encodeURIComponent(text.repeat(200 / text.length))}`,
    );
    for (const query of ['q=two+words', 'q=a%2Bb', 'label=a/b:c@d', "q='x'", 'q=%22%22', 'q=(a|b)%26!', ...repeated]) {
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
