/** The query plans of listTasks on a large table, for the statements of each filter and sort. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectionOf, type Statement } from '@task-manager/runtime/postgres/database';
import createClient, { type Client } from 'openapi-fetch';
import pg from 'pg';
import type { operations, paths } from '../../../generated/task-service.d.ts';
import { serve, type TestService } from '@task-manager/testing/harness';
import { taskHandlers } from '../src/handlers.ts';
import { createUserClient, UserDirectory } from '../src/user-client.ts';

type ListQuery = NonNullable<operations['listTasks']['parameters']['query']>;

/** The part of a node of PostgreSQL's `explain` that the tests read. */
interface Plan {
  'Node Type': string;
  Plans?: Plan[];
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
}

const user = '00000000-0000-7000-8000-000000000000';
const sorts = ['createdAt', '-createdAt', 'dueDate', '-dueDate', '-updatedAt', 'priority'] as const;
const filters: ListQuery[] = [
  { status: 'done' },
  { status: 'in-progress' },
  { assigneeId: user },
  { label: 'common' },
  { label: 'rare' },
  { dueBefore: '2026-12-01' },
  { dueAfter: '2025-02-01' },
  { dueAfter: '2025-06-01', dueBefore: '2026-06-01' },
  { q: 'common' },
  { q: 'rare' },
  { q: 'common -rare' },
  { q: 'common rar' },
  { q: '"rare"' },
];

/** A position in the middle of every list, among the values that `fill` inserts. */
const middle = {
  id: '01900000-3a98-7000-8000-000000015000',
  dueDate: '2026-01-01',
  updatedAt: new Date(Date.now() - 15_000 * 60_000).toISOString(),
};

let service: TestService;
let api: Client<paths>;
/** The statements that the service has sent since the last reset. */
let sent: Statement[] = [];

beforeAll(async () => {
  service = await serve('task-service', (health) =>
    taskHandlers(health, new UserDirectory(createUserClient('http://localhost:1'))),
  );
  api = createClient<paths>({ baseUrl: service.url });
  await fill(service);
  const begin = service.db.session.bind(service.db);
  service.db.session = (...parameters) => {
    const work = begin(...parameters);
    const query = work.query.bind(work);
    work.query = (statement) => {
      sent.push(statement);
      return query(statement);
    };
    return work;
  };
});
afterAll(() => service.stop());

describe('listTasks', () => {
  for (const sort of sorts) {
    it(`reads one index and sorts nothing for sort=${sort}`, async () => {
      await expectIndexOrder({ sort });
    });
  }

  for (const filter of filters) {
    const name = new URLSearchParams(filter as Record<string, string>).toString();
    for (const sort of sorts.filter((sort) => isOrderedByIndex(filter, sort))) {
      it(`reads one index and sorts nothing for ${name} with sort=${sort}`, async () => {
        await expectIndexOrder({ ...filter, sort });
      });
    }

    it(`never scans the table for ${name} with any sort`, async () => {
      for (const sort of sorts) {
        for (const plan of await plansOf({ ...filter, sort })) expect(nodesOf(plan)).not.toContain('Seq Scan');
      }
    });
  }
});

/** Inserts 30,000 tasks: enough for PostgreSQL to prefer the indexes as it does in larger tables. */
async function fill({ environment }: TestService): Promise<void> {
  // The connections of the service have a statement timeout.
  const client = new pg.Client(connectionOf(environment));
  await client.connect();
  await client.query(`
    insert into task_service.tasks
      (id, title, description, created_at, status, completed_at, priority, due_date, assignee_id, labels, updated_at)
    select ('01900000-' || lpad(to_hex(n % 65536), 4, '0') || '-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
      'common task ' || n % 100, repeat('some more words ', 20) || case n % 3000 when 7 then 'rare' else '' end,
      now(), status, case status when 'done' then now() end,
      (array['low', 'normal', 'normal', 'normal', 'high'])[1 + n % 5]::task_service.priority,
      case when n % 10 < 7 then date '2025-01-01' + n * 7 % 730 end,
      case when n % 10 < 8 then ('00000000-0000-7000-8000-' || lpad((n % 99)::text, 12, '0'))::uuid end,
      case when n % 3000 = 9 then array['rare'] when n % 4 = 0 then array['common'] else '{}' end,
      now() - n * 7919 % 30011 * interval '1 minute'
    from (
      select n, (array['todo', 'todo', 'todo', 'in-progress', 'done', 'done', 'done', 'done', 'done', 'done'])[1 + n % 10]
        as status
      from generate_series(1, 30000) as n
    ) as task`);
  await client.query('vacuum (analyze) task_service.tasks');
  await client.end();
}

/** Whether one index has exactly these tasks in this order. */
function isOrderedByIndex(filter: ListQuery, sort: string): boolean {
  if (filter.dueBefore ?? filter.dueAfter) return sort.endsWith('dueDate');
  return (filter.status ?? filter.assigneeId) !== undefined && sort.endsWith('createdAt');
}

async function expectIndexOrder(query: ListQuery): Promise<void> {
  for (const plan of await plansOf(query)) {
    expect(nodesOf(plan)).toEqual(['Limit', expect.stringMatching(/^Index (Only )?Scan$/)]);
    // One block for each of the 50 tasks, and the levels of the index.
    expect(blocksOf(plan)).toBeLessThan(80);
  }
}

/** The plan of each statement for the first page and for a page from the middle. */
async function plansOf(query: ListQuery): Promise<Plan[]> {
  sent = [];
  const { data } = await api.GET('/tasks', { params: { query } });
  if (data?.nextCursor) {
    const cursor = toMiddle(data.nextCursor, query.sort);
    const { response } = await api.GET('/tasks', { params: { query: { ...query, cursor } } });
    expect(response.status).toBe(200);
  }
  const plans: Plan[] = [];
  for (const { name, text, values } of sent) {
    plans.push(await explain('analyze', text, values));
    // PostgreSQL may use a generic plan for a prepared statement. It explains them from version 16 on.
    if (name && (await hasGenericPlans())) plans.push(await explain('generic_plan', text));
  }
  expect(plans.length).toBeGreaterThan(0);
  return plans;
}

async function hasGenericPlans(): Promise<boolean> {
  const { rows } = await service.db.pool.query<{ number: number }>(
    `select current_setting('server_version_num')::integer as number`,
  );
  return Number(rows[0]?.number) >= 160_000;
}

/** Moves a cursor to the middle of its list. */
function toMiddle(cursor: string, sort: ListQuery['sort']): string {
  const [list] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  const keys: Partial<Record<NonNullable<typeof sort>, string>> = {
    dueDate: middle.dueDate,
    '-dueDate': middle.dueDate,
    '-updatedAt': middle.updatedAt,
    priority: 'normal',
  };
  const position = [list, middle.id, (sort && keys[sort]) ?? null];
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

async function explain(option: 'analyze' | 'generic_plan', text: string, values?: unknown[]): Promise<Plan> {
  const { rows } = await service.db.pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>({
    text: `explain (format json, ${option}) ${text}`,
    ...(values && { values }),
  });
  return (rows[0] as (typeof rows)[number])['QUERY PLAN'][0].Plan;
}

function nodesOf({ 'Node Type': type, Plans = [] }: Plan): string[] {
  return [type, ...Plans.flatMap(nodesOf)];
}

/** How many blocks of 8 kB were read, from cache or disk. */
function blocksOf(plan: Plan): number {
  return (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
}
