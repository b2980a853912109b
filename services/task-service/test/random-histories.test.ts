/** Random histories of tasks against a simple model. A failure prints the seed and path; `HISTORIES=1000` runs more. */
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

// Few words, days and labels, so that many tasks share them.
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
    q: fc.constantFrom('milk', 'MILK rev', 'rev milk', 'zu\u0308rich', '🥛', 'absent'),
  },
  { requiredKeys: [] },
);
// Filters leave few tasks; half of the lists have none, so that they have several pages.
const query: fc.Arbitrary<Query> = fc
  .record({
    filters: fc.oneof(fc.constant({}), filters),
    sort: fc.constantFrom('createdAt', '-createdAt', 'dueDate', '-dueDate', '-updatedAt', 'priority'),
    limit: fc.integer({ min: 1, max: 7 }),
  })
  .map(({ filters: chosen, ...rest }) => ({ ...chosen, ...rest }));
/** The index of a task that exists, was deleted or was never created. */
const taskIndex = fc.nat({ max: 20 });

type Step =
  | { do: 'create'; task: NewTask }
  | { do: 'create many'; tasks: NewTask[] }
  | { do: 'update'; taskIndex: number; changes: Changes; precondition: 'none' | 'current' | 'stale' }
  | { do: 'delete'; taskIndex: number; precondition: 'none' | 'current' | 'stale' };

const precondition = fc.constantFrom('none' as const, 'current' as const, 'stale' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), task: newTask }),
  fc.record({ do: fc.constant('create many' as const), tasks: fc.array(newTask, { minLength: 1, maxLength: 5 }) }),
  fc.record({ do: fc.constant('update' as const), taskIndex, changes, precondition }),
  fc.record({ do: fc.constant('delete' as const), taskIndex, precondition }),
);
const steps = fc.array(step, { minLength: 5, maxLength: 25 });

describe('random histories', () => {
  it(
    'returns the tasks, lists and events of the model after a random history',
    async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.array(query, { minLength: 4, maxLength: 8 }), async (history, queries) => {
          const model = await reset();
          for (const each of history) await apply(model, each);
          for (const id of model.ids) await expectTask(model, id);
          for (const each of queries) expect(await readList(each)).toEqual(expectedList(model, each));
          expect(await readFeed(model.cursor)).toEqual(model.events);
        }),
        { numRuns },
      );
    },
    timeoutMs,
  );

  it(
    'neither skips nor repeats a task when tasks change between the pages of a list',
    async () => {
      await fc.assert(
        fc.asyncProperty(steps, steps, query, async (history, meanwhile, list) => {
          const model = await reset();
          for (const each of history) await apply(model, each);
          const keyOf = sortKey(list);
          // The tasks that match all the time, and every sort key that each task has had.
          let alwaysListed = expectedList(model, list).map(({ id }) => id);
          const keys = new Map<string, Set<unknown>>();
          const record = () => {
            const listed = new Set(expectedList(model, list).map(({ id }) => id));
            alwaysListed = alwaysListed.filter((id) => listed.has(id));
            for (const task of model.tasks.values()) {
              keys.set(task.id, (keys.get(task.id) ?? new Set()).add(keyOf(task)));
            }
          };
          record();
          const rest = [...meanwhile];
          const seen = await readList(list, async () => {
            for (const each of rest.splice(0, 3)) {
              await apply(model, each);
              record();
            }
          });
          const unmoved = seen.map(({ id }) => id).filter((id) => keys.get(id)?.size === 1);
          expect(unmoved).toEqual([...new Set(unmoved)]);
          const missing = alwaysListed.filter((id) => keys.get(id)?.size === 1 && !unmoved.includes(id));
          expect(missing).toEqual([]);
        }),
        { numRuns },
      );
    },
    timeoutMs,
  );
});

/** The expected state of the service. */
interface Model {
  tasks: Map<string, Task>;
  /** Of every task, also the deleted ones. */
  ids: string[];
  events: [type: string, id: string, version: number][];
  /** The position in the feed where the history begins. */
  cursor: string | null;
}

/** Deletes all tasks. The feed keeps its events, so the model starts at its end. */
async function reset(): Promise<Model> {
  await service.db.pool.query('delete from task_service.tasks');
  const { data } = await api.GET('/tasks/feed', { params: { query: { cursor: 'latest', limit: 1 } } });
  return { tasks: new Map(), ids: [], events: [], cursor: data?.nextCursor ?? null };
}

async function apply(model: Model, step: Step): Promise<void> {
  if (step.do === 'create') {
    const { data, response } = await api.POST('/tasks', { body: step.task });
    add(model, step.task, data);
    expect(response.headers.get('ETag')).toBe('"1"');
  } else if (step.do === 'create many') {
    const { data } = await api.POST('/tasks/batch', { body: { items: step.tasks } });
    expect(data?.items.length).toBe(step.tasks.length);
    for (const [index, task] of step.tasks.entries()) add(model, task, data?.items[index]);
  } else {
    await applyToTask(model, step);
  }
}

function add(model: Model, values: NewTask, task: Task | undefined): void {
  if (!task) throw new Error('no task was created');
  const { id, createdAt } = task;
  const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null, labels: [], assigneeId: null };
  const completedAt = values.status === 'done' ? createdAt : null;
  expect(task).toEqual({ ...defaults, ...values, id, createdAt, updatedAt: createdAt, completedAt, version: 1 });
  model.tasks.set(id, task);
  model.ids.push(id);
  model.events.push(['task.created', id, 1]);
}

async function applyToTask(model: Model, step: Exclude<Step, { do: 'create' | 'create many' }>): Promise<void> {
  const taskId = model.ids[step.taskIndex] ?? '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
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

/** The list by filtering and sorting all tasks of the model. */
function expectedList({ tasks }: Model, { status, label, dueBefore, dueAfter, q, sort = '-createdAt' }: Query): Task[] {
  const terms = q?.toLowerCase().normalize().split(' ') ?? [];
  const matching = [...tasks.values()].filter(
    (task) =>
      (!status || task.status === status) &&
      (!label || task.labels.includes(label)) &&
      (!dueBefore || (task.dueDate ?? dueBefore) < dueBefore) &&
      (!dueAfter || (task.dueDate ?? dueAfter) > dueAfter) &&
      terms.every((term, index) =>
        wordsOf(task).some((word) => word === term || (index === terms.length - 1 && word.startsWith(term))),
      ),
  );
  const sign = sort.startsWith('-') || sort === 'priority' ? -1 : 1;
  const key = sortKey({ sort });
  return matching.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a !== b && (a === null || b === null)) return a === null ? 1 : -1;
    if (a !== b && a !== null && b !== null) return a < b ? -sign : sign;
    return one.id < other.id ? -sign : sign;
  });
}

function wordsOf({ title, description }: Task): string[] {
  return `${title} ${description}`.toLowerCase().split(' ');
}

function sortKey({ sort = '-createdAt' }: Query): (task: Task) => string | number | null {
  if (sort === 'priority') return (task) => ['low', 'normal', 'high'].indexOf(task.priority);
  if (sort.endsWith('dueDate')) return (task) => task.dueDate;
  return (task) => (sort === '-updatedAt' ? task.updatedAt : task.id);
}

/** Reads every page of a list. */
async function readList(query: Query, betweenPages: () => Promise<void> = async () => undefined): Promise<Task[]> {
  const tasks: Task[] = [];
  let cursor: string | undefined;
  for (;;) {
    const { data } = await api.GET('/tasks', { params: { query: { ...query, ...(cursor && { cursor }) } } });
    if (!data) throw new Error('the list was rejected');
    tasks.push(...data.items);
    if (data.nextCursor === null) return tasks;
    cursor = data.nextCursor;
    await betweenPages();
  }
}

/** getTask returns the task of the model, or 404 when it was deleted. */
async function expectTask(model: Model, taskId: string): Promise<void> {
  const task = model.tasks.get(taskId);
  const { data, response } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
  expect([response.status, data]).toEqual([task ? 200 : 404, task]);
  if (task) expect(response.headers.get('ETag')).toBe(`"${task.version}"`);
}

async function readFeed(cursor: string | null): Promise<Model['events']> {
  const events: Model['events'] = [];
  let after = cursor;
  for (;;) {
    const { data } = await api.GET('/tasks/feed', { params: { query: { limit: 7, ...(after && { cursor: after }) } } });
    if (!data || data.items.length === 0) return events;
    events.push(...data.items.map(({ type, data: { id, version } }): Model['events'][number] => [type, id, version]));
    after = data.nextCursor;
  }
}
