/** The list of tasks: every filter and sort, a page at a time, with a bounded cost (decisions 003 and 007). */
import { shared } from '@task-manager/runtime/postgres/batch';
import type { Queryable, Statement } from '@task-manager/runtime/postgres/database';
import { readCursor, toPage, type Page, type Position } from '@task-manager/runtime/postgres/cursor';
import { toSearchQuery } from '@task-manager/runtime/postgres/search';
import type { components, operations } from '../../../generated/task-service.server.d.ts';
import { columns } from './queries.ts';

type Task = components['schemas']['Task'];
type ListQuery = operations['listTasks']['parameters']['query'];
type List = Omit<ListQuery, 'limit' | 'cursor'>;

/**
 * A page of the tasks that match the filters, in the order of `sort`; concurrent calls share it.
 *
 * @throws {InvalidRequest} The cursor belongs to other filters or another sort.
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

/** A sort order: by a key, where tasks without it come last, then by id. */
interface Order {
  direction: 'asc' | 'desc';
  key?: Key;
}

interface Key {
  column: string;
  type: string;
  field: 'dueDate' | 'updatedAt' | 'priority';
  nullable: boolean;
  /** Validates a value of a cursor: PostgreSQL would also accept `tomorrow` and `infinity`. */
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

/** In the format of the contract, from year 0001 to 9999. */
function isTime(text: string): boolean {
  const time = new Date(text);
  return text >= '0001' && !Number.isNaN(time.getTime()) && time.toISOString() === text;
}

const orders: Record<List['sort'], Order> = {
  // Ids sort by creation time.
  createdAt: { direction: 'asc' },
  '-createdAt': { direction: 'desc' },
  dueDate: { direction: 'asc', key: dueDate },
  '-dueDate': { direction: 'desc', key: dueDate },
  '-updatedAt': { direction: 'desc', key: updatedAt },
  priority: { direction: 'desc', key: priority },
};

/** A part of the list that one index has in order. */
interface Part {
  /** Whether its tasks have the sort key. */
  keyed: boolean;
  after: Position | undefined;
}

function partsOf({ sort, dueBefore, dueAfter }: List, after: Position | undefined): Part[] {
  const { key } = orders[sort];
  if (!key?.nullable) return [{ keyed: key !== undefined, after }];
  if (after?.key === null) return [{ keyed: false, after }];
  const withoutKey = dueBefore === undefined && dueAfter === undefined ? [{ keyed: false, after: undefined }] : [];
  return [{ keyed: true, after }, ...withoutKey];
}

/**
 * How many tasks are scanned in the order of the list before all matches are collected and sorted instead. PostgreSQL can
 * only guess how many match, so it does not get to choose the plan. A block of the table has many neighbouring ids.
 */
const maxScannedById = 8000;
const maxScannedByKey = 1000;

async function findPart(db: Queryable, list: List, part: Part, limit: number): Promise<Task[]> {
  if (isOrderedByIndex(list)) return db.query<Task>(selectInOrder(list, part, limit));
  const scanned = await db.query<Task>(scanInOrder(list, part, limit));
  return scanned.length === limit ? scanned : db.query<Task>(filterAndSort(list, part, limit));
}

/**
 * Whether one index has exactly these tasks in this order. Only such statements are prepared: for others the best index
 * depends on the values.
 */
function isOrderedByIndex({ sort, ...filters }: List): boolean {
  const names = Object.keys(filters);
  if (names.length === 0) return true;
  if (isByDueDate(sort)) return names.every((name) => name.startsWith('due'));
  return orders[sort].key === undefined && ['status', 'assigneeId'].includes(names.join());
}

function selectInOrder(list: List, part: Part, limit: number): Statement {
  const { values, bind } = binding();
  // The position comes before the filters: PostgreSQL enters the index by the first condition.
  const text = `select ${columns}
           from task_service.tasks
           ${where(positionOf(list, part, bind), filtersOf(list, bind))}
           order by ${orderOf(list, part)}
           limit ${bind(limit)}`;
  const { sort, ...filters } = list;
  const shape = [sort, ...Object.keys(filters), part.keyed && 'keyed', part.after && 'after'];
  return { name: `find-tasks ${shape.filter(Boolean).join(' ')}`, text, values };
}

/** The matches among the next tasks in the order of the list. */
function scanInOrder(list: List, part: Part, limit: number): Statement {
  const { values, bind } = binding();
  const { dueBefore, dueAfter, ...others } = list;
  // Bounds of the due date narrow the scan of its index.
  const due = isByDueDate(list.sort) ? { dueBefore, dueAfter } : {};
  const text = `select ${columns}
           from (
             select * from task_service.tasks
             ${where(positionOf(list, part, bind), filtersOf(due, bind))}
             order by ${orderOf(list, part)}
             limit ${orders[list.sort].key ? maxScannedByKey : maxScannedById}
           ) as task
           ${where(filtersOf(isByDueDate(list.sort) ? others : list, bind))}
           order by ${orderOf(list, part)}
           limit ${bind(limit)}`;
  return { text, values };
}

/** All matches, sorted: `offset 0` keeps PostgreSQL from using the sort order to find them. */
function filterAndSort(list: List, part: Part, limit: number): Statement {
  const { values, bind } = binding();
  const text = `select ${columns}
           from task_service.tasks
           where id in (
             select id
             from (
               select id, due_date, updated_at, priority from task_service.tasks ${where(filtersOf(list, bind))} offset 0
             ) as task
             ${where(positionOf(list, part, bind))}
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

function positionOf({ sort }: List, { keyed, after }: Part, bind: Bind): string[] {
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
    q: (value) => `search @@ ${bind(toSearchQuery(value))}::tsquery`,
  };
  return Object.entries(conditions).flatMap(([name, condition]) => {
    const value = list[name as keyof typeof conditions];
    return value === undefined ? [] : [condition(value)];
  });
}
