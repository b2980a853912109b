/**
 * Random histories of tasks, compared with a model that could not be simpler. A failure prints the seed and the path by
 * which fast-check finds it again. `HISTORIES=1000` walks more of them.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import createClient, { type Client } from 'openapi-fetch';
import type { components, operations, paths } from '../../../generated/task-service.d.ts';
import { serve, type TestService } from '@task-manager/testing/harness';
import { taskHandlers } from '../src/handlers.ts';
import { createUserClient, UserDirectory } from '../src/user-client.ts';

type Task = components['schemas']['Task'];
type NewTask = components['schemas']['NewTask'];
type Changes = components['schemas']['TaskChanges'];
type Query = NonNullable<operations['listTasks']['parameters']['query']>;

const numRuns = Number(process.env.HISTORIES ?? 25);
const timeoutMs = 60_000 + numRuns * 1000;

let service: TestService;
let api: Client<paths, 'application/json'>;
beforeAll(async () => {
  service = await serve('task-service', (health) =>
    taskHandlers(health, new UserDirectory(createUserClient('http://localhost:1'))),
  );
  api = createClient<paths, 'application/json'>({ baseUrl: service.url });
});
afterAll(() => service.stop());

// Few words, days and labels, so that many tasks have the same.
const words = ['milk', 'review', 'plumber', 'Zürich', '🥛'];
const title = fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 4 }).map((some) => some.join(' '));
const day = fc.option(fc.integer({ min: 10, max: 16 }).map((number) => `2026-12-${number}`));
const labels = fc.subarray(['home', 'work', 'urgent']);
const status = fc.constantFrom('todo' as const, 'in-progress' as const, 'done' as const);
const priority = fc.constantFrom('low' as const, 'normal' as const, 'high' as const);
const fields = { title, description: fc.constantFrom('', 'more milk'), status, priority, dueDate: day, labels };

const newTask: fc.Arbitrary<NewTask> = fc.record(fields, { requiredKeys: ['title'] });
const changes: fc.Arbitrary<Changes> = fc.record(fields, { requiredKeys: [] });
const filters: fc.Arbitrary<Query> = fc.record(
  {
    status,
    label: fc.constantFrom('home', 'work', 'nowhere'),
    dueBefore: fc.constantFrom('2026-12-12', '2026-12-15'),
    dueAfter: fc.constantFrom('2026-12-11', '2026-12-14'),
    q: fc.constantFrom('milk', 'MILK review', 'zürich', 'absent'),
  },
  { requiredKeys: [] },
);
// Filters leave little; half of the lists are without, so that they have pages.
const query: fc.Arbitrary<Query> = fc
  .record({
    filters: fc.oneof(fc.constant({}), filters),
    sort: fc.constantFrom('createdAt', '-createdAt', 'dueDate', '-dueDate', '-updatedAt', 'priority'),
    limit: fc.integer({ min: 1, max: 7 }),
  })
  .map(({ filters: given, ...rest }) => ({ ...given, ...rest }));
/** Which of the tasks that there are, were or may never have been. */
const which = fc.nat({ max: 20 });

type Step =
  | { do: 'create'; task: NewTask }
  | { do: 'create many'; tasks: NewTask[] }
  | { do: 'update'; which: number; changes: Changes; precondition: 'none' | 'right' | 'stale' }
  | { do: 'delete'; which: number; precondition: 'none' | 'right' | 'stale' };

const precondition = fc.constantFrom('none' as const, 'right' as const, 'stale' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), task: newTask }),
  fc.record({ do: fc.constant('create many' as const), tasks: fc.array(newTask, { minLength: 1, maxLength: 5 }) }),
  fc.record({ do: fc.constant('update' as const), which, changes, precondition }),
  fc.record({ do: fc.constant('delete' as const), which, precondition }),
);
const steps = fc.array(step, { minLength: 5, maxLength: 25 });

describe('a history of tasks', () => {
  it(
    'is what its steps make of it, in every list and in the feed',
    async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.array(query, { minLength: 4, maxLength: 8 }), async (history, queries) => {
          const model = await begin();
          for (const each of history) await take(model, each);
          for (const id of model.ids) await look(model, id);
          for (const each of queries) expect(await walk(each)).toEqual(expected(model, each));
          expect(await feedAfter(model.cursor)).toEqual(model.events);
        }),
        { numRuns },
      );
    },
    timeoutMs,
  );

  it(
    'neither hides nor repeats a task while a list is read that it changes',
    async () => {
      await fc.assert(
        fc.asyncProperty(steps, steps, query, async (history, meanwhile, asked) => {
          const model = await begin();
          for (const each of history) await take(model, each);
          const keyOf = sortKey(asked);
          /** Who was there throughout, and by which keys each was ever sorted. */
          let throughout = expected(model, asked).map(({ id }) => id);
          const keys = new Map<string, Set<unknown>>();
          const look = () => {
            const listed = new Set(expected(model, asked).map(({ id }) => id));
            throughout = throughout.filter((id) => listed.has(id));
            for (const task of model.tasks.values()) {
              keys.set(task.id, (keys.get(task.id) ?? new Set()).add(keyOf(task)));
            }
          };
          look();
          const rest = [...meanwhile];
          const seen = await walk(asked, async () => {
            for (const each of rest.splice(0, 3)) {
              await take(model, each);
              look();
            }
          });
          const unmoved = seen.map(({ id }) => id).filter((id) => keys.get(id)?.size === 1);
          expect(unmoved).toEqual([...new Set(unmoved)]);
          const missing = throughout.filter((id) => keys.get(id)?.size === 1 && !unmoved.includes(id));
          expect(missing).toEqual([]);
        }),
        { numRuns },
      );
    },
    timeoutMs,
  );
});

/** What there should be. */
interface Model {
  tasks: Map<string, Task>;
  /** Every id that there ever was. */
  ids: string[];
  events: [type: string, id: string, version: number][];
  /** Of the feed, where it began. */
  cursor: string | null;
}

/** Nothing, but for the feed, which goes on. */
async function begin(): Promise<Model> {
  await service.db.pool.query('delete from task_service.tasks');
  const { data } = await api.GET('/tasks/feed', { params: { query: { cursor: 'latest', limit: 1 } } });
  return { tasks: new Map(), ids: [], events: [], cursor: data?.nextCursor ?? null };
}

async function take(model: Model, step: Step): Promise<void> {
  if (step.do === 'create') {
    const { data, response } = await api.POST('/tasks', { body: step.task });
    add(model, step.task, data);
    expect(response.headers.get('ETag')).toBe('"1"');
  } else if (step.do === 'create many') {
    const { data } = await api.POST('/tasks/batch', { body: { items: step.tasks } });
    expect(data?.items.length).toBe(step.tasks.length);
    for (const [index, task] of step.tasks.entries()) add(model, task, data?.items[index]);
  } else {
    await alter(model, step);
  }
}

function add(model: Model, given: NewTask, task: Task | undefined): void {
  if (!task) throw new Error('no task was created');
  const { id, createdAt } = task;
  const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null, labels: [], assigneeId: null };
  const completedAt = given.status === 'done' ? createdAt : null;
  expect(task).toEqual({ ...defaults, ...given, id, createdAt, updatedAt: createdAt, completedAt, version: 1 });
  model.tasks.set(id, task);
  model.ids.push(id);
  model.events.push(['task.created', id, 1]);
}

async function alter(model: Model, step: Exclude<Step, { do: 'create' | 'create many' }>): Promise<void> {
  const taskId = model.ids[step.which] ?? '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
  const task = model.tasks.get(taskId);
  const version = (task?.version ?? 1) + (step.precondition === 'stale' ? 1 : 0);
  const header = step.precondition === 'none' ? {} : { 'If-Match': `"${version}"` };
  const params = { path: { taskId }, header };
  const expectedStatus = !task ? 404 : step.precondition === 'stale' ? 412 : step.do === 'update' ? 200 : 204;
  if (step.do === 'delete') {
    const { response } = await api.DELETE('/tasks/{taskId}', { params });
    expect(response.status).toBe(expectedStatus);
    if (response.status !== 204 || !task) return;
    model.tasks.delete(taskId);
    model.events.push(['task.deleted', taskId, task.version]);
    return;
  }
  const { data, response } = await api.PATCH('/tasks/{taskId}', { params, body: step.changes });
  expect(response.status).toBe(expectedStatus);
  if (!data || !task) return;
  const isDone = (step.changes.status ?? task.status) === 'done';
  const { updatedAt } = data;
  const completedAt = isDone ? (task.completedAt ?? updatedAt) : null;
  expect(data).toEqual({ ...task, ...step.changes, completedAt, updatedAt, version: task.version + 1 });
  expect(updatedAt >= task.updatedAt).toBe(true);
  expect(response.headers.get('ETag')).toBe(`"${data.version}"`);
  model.tasks.set(taskId, data);
  model.events.push(['task.updated', taskId, data.version]);
}

/** The list, as a sort of all tasks by their fields would give it. */
function expected({ tasks }: Model, { status, label, dueBefore, dueAfter, q, sort = '-createdAt' }: Query): Task[] {
  const sought = q?.toLowerCase().split(' ') ?? [];
  const fitting = [...tasks.values()].filter(
    (task) =>
      (!status || task.status === status) &&
      (!label || task.labels.includes(label)) &&
      (!dueBefore || (task.dueDate ?? dueBefore) < dueBefore) &&
      (!dueAfter || (task.dueDate ?? dueAfter) > dueAfter) &&
      sought.every((word) => `${task.title} ${task.description}`.toLowerCase().split(' ').includes(word)),
  );
  const sign = sort.startsWith('-') || sort === 'priority' ? -1 : 1;
  const key = sortKey({ sort });
  return fitting.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a !== b && (a === null || b === null)) return a === null ? 1 : -1;
    if (a !== b && a !== null && b !== null) return a < b ? -sign : sign;
    return one.id < other.id ? -sign : sign;
  });
}

function sortKey({ sort = '-createdAt' }: Query): (task: Task) => string | number | null {
  if (sort === 'priority') return (task) => ['low', 'normal', 'high'].indexOf(task.priority);
  if (sort.endsWith('dueDate')) return (task) => task.dueDate;
  return (task) => (sort === '-updatedAt' ? task.updatedAt : task.id);
}

/** Reads a list to its end, a page at a time. */
async function walk(query: Query, betweenPages: () => Promise<void> = async () => undefined): Promise<Task[]> {
  const found: Task[] = [];
  let cursor: string | undefined;
  for (;;) {
    const { data } = await api.GET('/tasks', { params: { query: { ...query, ...(cursor && { cursor }) } } });
    if (!data) throw new Error('the list was refused');
    found.push(...data.items);
    if (data.nextCursor === null) return found;
    cursor = data.nextCursor;
    await betweenPages();
  }
}

/** Gets a task that there is or was, and sees that it is as it should be. */
async function look(model: Model, taskId: string): Promise<void> {
  const task = model.tasks.get(taskId);
  const { data, response } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
  expect([response.status, data]).toEqual([task ? 200 : 404, task]);
  if (task) expect(response.headers.get('ETag')).toBe(`"${task.version}"`);
}

async function feedAfter(cursor: string | null): Promise<Model['events']> {
  const events: Model['events'] = [];
  let after = cursor;
  for (;;) {
    const { data } = await api.GET('/tasks/feed', { params: { query: { limit: 7, ...(after && { cursor: after }) } } });
    if (!data || data.items.length === 0) return events;
    events.push(...data.items.map(({ type, data: { id, version } }): Model['events'][number] => [type, id, version]));
    after = data.nextCursor;
  }
}
