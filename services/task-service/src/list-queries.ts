/** The list of tasks: every filter and sort, a page at a time, at a price that is bounded. See decisions 003 and 007. */
import { shared } from '@task-manager/runtime/postgres/batch';
import type { Queryable, Statement } from '@task-manager/runtime/postgres/database';
import { readCursor, toPage, type Page, type Place } from '@task-manager/runtime/postgres/cursor';
import type { components, operations } from '../../../generated/task-service.server.d.ts';
import { columns } from './queries.ts';

type Task = components['schemas']['Task'];
type ListQuery = operations['listTasks']['parameters']['query'];
type List = Omit<ListQuery, 'limit' | 'cursor'>;

/**
 * One page of the tasks that fit the filters, in the order of `sort`: read once for all who ask for it at the same time.
 *
 * @throws {InvalidRequest} when the cursor was given for other filters or another sort.
 */
export const findTasks = shared(async (db, { limit, cursor, ...list }: ListQuery): Promise<Page<Task>> => {
  const name = ['listTasks', list];
  const { key } = orders[list.sort];
  const isKey = (value: string | null) => (key && value !== null ? key.isValue(value) : !key || key.nullable);
  const rows: Task[] = [];
  for (const part of partsOf(list, readCursor(name, cursor, isKey))) {
    if (rows.length <= limit) rows.push(...(await findPart(db, list, part, limit + 1 - rows.length)));
  }
  return toPage(name, rows, limit, (task) => (key ? task[key.field] : null));
});

/** An order of the list: by a key that may be null for some tasks, which then come last, and by id where it is equal. */
interface Order {
  direction: 'asc' | 'desc';
  key?: Key;
}

interface Key {
  column: string;
  type: string;
  field: 'dueDate' | 'updatedAt' | 'priority';
  nullable: boolean;
  /** Whether a task can have it: PostgreSQL would also take `tomorrow` and `infinity`. */
  isValue: (text: string) => boolean;
}

const dueDate: Key = {
  column: 'due_date',
  type: 'date',
  field: 'dueDate',
  nullable: true,
  isValue: (text) => isTime(`${text}T00:00:00.000Z`),
};
const updatedAt: Key = {
  column: 'updated_at',
  type: 'timestamptz',
  field: 'updatedAt',
  nullable: false,
  isValue: isTime,
};
const priorities: Record<Task['priority'], true> = { low: true, normal: true, high: true };
const priority: Key = {
  column: 'priority',
  type: 'task_service.priority',
  field: 'priority',
  nullable: false,
  isValue: (text) => Object.hasOwn(priorities, text),
};

/** As the contract writes times, of the years 0001 to 9999. */
function isTime(text: string): boolean {
  const time = new Date(text);
  return text >= '0001' && !Number.isNaN(time.getTime()) && time.toISOString() === text;
}

const orders: Record<List['sort'], Order> = {
  // Ids sort by the time they were made.
  createdAt: { direction: 'asc' },
  '-createdAt': { direction: 'desc' },
  dueDate: { direction: 'asc', key: dueDate },
  '-dueDate': { direction: 'desc', key: dueDate },
  '-updatedAt': { direction: 'desc', key: updatedAt },
  priority: { direction: 'desc', key: priority },
};

/** A run of the list within which one index gives the order. */
interface Part {
  /** Whether its tasks have the key that the list is sorted by. */
  keyed: boolean;
  after: Place | undefined;
}

function partsOf({ sort, dueBefore, dueAfter }: List, after: Place | undefined): Part[] {
  const { key } = orders[sort];
  if (!key?.nullable) return [{ keyed: key !== undefined, after }];
  if (after?.key === null) return [{ keyed: false, after }];
  const withoutKey = dueBefore === undefined && dueAfter === undefined ? [{ keyed: false, after: undefined }] : [];
  return [{ keyed: true, after }, ...withoutKey];
}

/**
 * How many tasks are looked at in the order of the list before all that fit are gathered and sorted instead. How many fit
 * PostgreSQL can only guess; so it is not asked to choose. Ids lie in the table in their order: one block has many.
 */
const reachById = 8000;
const reachByKey = 1000;

async function findPart(db: Queryable, list: List, part: Part, limit: number): Promise<Task[]> {
  if (isOrderedByIndex(list)) return db.query<Task>(selectInOrder(list, part, limit));
  const near = await db.query<Task>(selectNear(list, part, limit));
  return near.length === limit ? near : db.query<Task>(selectAndSort(list, part, limit));
}

/**
 * Whether one index has just these tasks in just this order. Only then is the statement prepared: of any other it depends
 * on the values which index is best, so that PostgreSQL plans it anew each time.
 */
function isOrderedByIndex({ sort, ...filters }: List): boolean {
  const names = Object.keys(filters);
  if (names.length === 0) return true;
  if (isByDueDate(sort)) return names.every((name) => name.startsWith('due'));
  return orders[sort].key === undefined && ['status', 'assigneeId'].includes(names.join());
}

function selectInOrder(list: List, part: Part, limit: number): Statement {
  const { values, bind } = binding();
  // The place before the filters: an index is entered by what comes first.
  const text = `select ${columns}
           from task_service.tasks
           ${where(placeOf(list, part, bind), filtersOf(list, bind))}
           order by ${orderOf(list, part)}
           limit ${bind(limit)}`;
  const { sort, ...filters } = list;
  const shape = [sort, ...Object.keys(filters), part.keyed && 'keyed', part.after && 'after'];
  return { name: `find-tasks ${shape.filter(Boolean).join(' ')}`, text, values };
}

/** Those that fit among the next tasks in the order of the list. */
function selectNear(list: List, part: Part, limit: number): Statement {
  const { values, bind } = binding();
  const { dueBefore, dueAfter, ...others } = list;
  // Due bounds lead into the index by due date.
  const due = isByDueDate(list.sort) ? { dueBefore, dueAfter } : {};
  const text = `select ${columns}
           from (
             select * from task_service.tasks
             ${where(placeOf(list, part, bind), filtersOf(due, bind))}
             order by ${orderOf(list, part)}
             limit ${orders[list.sort].key ? reachByKey : reachById}
           ) as task
           ${where(filtersOf(isByDueDate(list.sort) ? others : list, bind))}
           order by ${orderOf(list, part)}
           limit ${bind(limit)}`;
  return { text, values };
}

/** All that fit, sorted: behind an offset PostgreSQL looks for them by the filters alone. Only those of the page are read. */
function selectAndSort(list: List, part: Part, limit: number): Statement {
  const { values, bind } = binding();
  const text = `select ${columns}
           from task_service.tasks
           where id in (
             select id
             from (
               select id, due_date, updated_at, priority from task_service.tasks ${where(filtersOf(list, bind))} offset 0
             ) as task
             ${where(placeOf(list, part, bind))}
             order by ${orderOf(list, part)}
             limit ${bind(limit)}
           )
           order by ${orderOf(list, part)}`;
  return { text, values };
}

function isByDueDate(sort: List['sort']): boolean {
  return orders[sort].key === dueDate;
}

type Bind = (value: unknown) => string;

function binding(): { values: unknown[]; bind: Bind } {
  const values: unknown[] = [];
  return { values, bind: (value) => `$${values.push(value)}` };
}

function where(...conditions: string[][]): string {
  const all = conditions.flat();
  return all.length > 0 ? `where ${all.join(' and ')}` : '';
}

function orderOf({ sort }: List, { keyed }: Part): string {
  const { key, direction } = orders[sort];
  return `${keyed && key ? `${key.column} ${direction}, ` : ''}id ${direction}`;
}

function placeOf({ sort }: List, { keyed, after }: Part, bind: Bind): string[] {
  const { key, direction } = orders[sort];
  const beyond = direction === 'asc' ? '>' : '<';
  const part = key?.nullable ? [`${key.column} is ${keyed ? 'not null' : 'null'}`] : [];
  if (!after) return part;
  if (!keyed || !key) return [...part, `id ${beyond} ${bind(after.id)}`];
  return [...part, `(${key.column}, id) ${beyond} (${bind(after.key)}::${key.type}, ${bind(after.id)}::uuid)`];
}

function filtersOf(list: { [Name in keyof Omit<List, 'sort'>]: List[Name] | undefined }, bind: Bind): string[] {
  const conditions: Record<keyof typeof list, (value: string) => string> = {
    status: (value) => `status = ${bind(value)}`,
    assigneeId: (value) => `assignee_id = ${bind(value)}`,
    label: (value) => `labels @> array[${bind(value)}]`,
    dueBefore: (value) => `due_date < ${bind(value)}`,
    dueAfter: (value) => `due_date > ${bind(value)}`,
    q: (value) => `search @@ websearch_to_tsquery('simple', ${bind(value)})`,
  };
  return Object.entries(conditions).flatMap(([name, condition]) => {
    const value = list[name as keyof typeof conditions];
    return value === undefined ? [] : [condition(value)];
  });
}
