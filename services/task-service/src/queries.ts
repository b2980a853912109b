/** The SQL statements of the task service, one function each. Those of the list are in list-queries.ts. */
import { batched, inOrder } from '@task-manager/runtime/postgres/batch';
import { mismatch } from '@task-manager/runtime/http/etag';
import type { Queryable } from '@task-manager/runtime/postgres/database';
import { newId, timeOf } from '@task-manager/runtime/ids';
import { toSearch, toSearchChange } from '@task-manager/runtime/postgres/search';
import type { components } from '../../../generated/task-service.server.d.ts';

type Task = components['schemas']['Task'];
type NewTask = components['schemas']['NewTask'];
type TaskChanges = components['schemas']['TaskChanges'];

export const columns = `id, title, description, status, priority, due_date as "dueDate", assignee_id as "assigneeId", labels,
  created_at as "createdAt", updated_at as "updatedAt", completed_at as "completedAt", version`;

/** Inserts a task as `insertTasks` does, batched with concurrent calls. */
export async function insertTask(db: Queryable, values: NewTask): Promise<Task | undefined> {
  // An assigned task may wait for the deletion of its assignee: the batch must not wait with it.
  return values.assigneeId === null ? insertUnassigned(db, values) : (await insertTasks(db, [values]))?.[0];
}

const insertUnassigned = batched(async (db, newTasks: NewTask[]) => (await insertTasks(db, newTasks)) ?? []);

/** The columns of a new task: the type of each and its value. */
const newTaskColumns: Record<string, [type: string, valueOf: (task: Task) => unknown]> = {
  id: ['uuid', ({ id }) => id],
  title: ['text', ({ title }) => title],
  description: ['text', ({ description }) => description],
  status: ['text', ({ status }) => status],
  priority: ['task_service.priority', ({ priority }) => priority],
  due_date: ['date', ({ dueDate }) => dueDate],
  assignee_id: ['uuid', ({ assigneeId }) => assigneeId],
  labels: ['text', ({ labels }) => toArrayLiteral(labels)],
  created_at: ['timestamptz', ({ createdAt }) => createdAt],
  updated_at: ['timestamptz', ({ updatedAt }) => updatedAt],
  completed_at: ['timestamptz', ({ completedAt }) => completedAt],
  search: ['tsvector', ({ title, description }) => toSearch(title, description)],
};
const newColumns = Object.keys(newTaskColumns).join(', ');
const newTypes = Object.values(newTaskColumns).map(([type], index) => `$${index + 2}::${type}[]`);
const newValues = Object.values(newTaskColumns).map(([, valueOf]) => valueOf);

/** An array as PostgreSQL writes it: unnest() would flatten an array of arrays. */
function toArrayLiteral(texts: string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join()}}`;
}

/** Inserts tasks and their events: all of them, or none (undefined) when an assignee was deleted. */
export async function insertTasks(db: Queryable, newTasks: NewTask[]): Promise<Task[] | undefined> {
  const tasks = newTasks.map(toTask);
  const assignees = await insertAssignees(db, newTasks);
  const inserted = await db.query({
    name: 'insert-tasks',
    text: `with ${lockAssignees('$1')},
           task as (
             insert into task_service.tasks (${newColumns})
             select ${newColumns.replace('labels', 'labels::text[]')}
             from unnest(${newTypes.join(', ')}) as new (${newColumns})
             where (select count(*) from assignee) = cardinality($1::uuid[])
             returning id, version
           )
           insert into task_service.events (type, subject, version) select 'task.created', id, version from task
           returning position`,
    values: [assignees, ...newValues.map((valueOf) => tasks.map(valueOf))],
  });
  return inserted.length === 0 ? undefined : tasks;
}

function toTask({ title, description, status, priority, dueDate, assigneeId, labels }: NewTask): Task {
  const id = newId();
  const createdAt = timeOf(id).toISOString();
  const completedAt = status === 'done' ? createdAt : null;
  const times = { createdAt, updatedAt: createdAt, completedAt };
  return { id, title, description, status, priority, dueDate, assigneeId, labels, ...times, version: 1 };
}

type UpdateResult = Task | 'not found' | 'stale' | 'unknown assignee';

interface Edit {
  taskId: string;
  changes: TaskChanges;
  /** The versions that may be changed; null is any. */
  versions: string[] | null;
}

/**
 * Updates a task that has one of `versions` (null is any), and inserts its event. Batched with concurrent calls, unless the
 * update may have to wait for another update of the task or for its assignee.
 */
export async function updateTask(
  db: Queryable,
  taskId: string,
  changes: TaskChanges,
  versions: string[] | null,
): Promise<UpdateResult> {
  const edit = { taskId, changes, versions };
  const result = changes.assigneeId ? 'locked' : await updateUnassigned(db, edit);
  if (result !== 'locked') return result;
  const [waited] = await updateTasks(db, [edit], 'for update');
  return waited as UpdateResult;
}

const updateUnassigned = batched(async (db, edits: Edit[]) => {
  // Of several edits of one task only the first.
  const first = new Map([...edits].reverse().map((edit) => [edit.taskId, edit]));
  const batch = [...first.values()];
  const results = await updateTasks(db, batch, 'for update skip locked');
  return edits.map((edit) =>
    first.get(edit.taskId) === edit ? (results[batch.indexOf(edit)] as UpdateResult | 'locked') : 'locked',
  );
});

/** The results in order; `locked` when another transaction is updating the task and `lock` does not wait. */
async function updateTasks(
  db: Queryable,
  edits: Edit[],
  lock: 'for update' | 'for update skip locked',
): Promise<(UpdateResult | 'locked')[]> {
  const assignees = await insertAssignees(
    db,
    edits.map(({ changes }) => changes),
  );
  const changed = edits.map((edit) => ({ ...edit, ...toSearchChange(edit.changes.title, edit.changes.description) }));
  const rows = await db.query<Task & { taskId: string; found: boolean; free: boolean; assignable: boolean }>({
    name: `update-tasks ${lock}`,
    // The assignee is locked before the task, in the same order as in `unassign`.
    text: `with ${lockAssignees('$2')},
           edit as (
             select * from json_to_recordset($1)
               as edit ("taskId" uuid, changes jsonb, versions text[], kept "char"[], words text)
           ),
           free as (
             select id as "taskId" from task_service.tasks
             where id = any ($3::uuid[]) and (select count(*) from assignee) = cardinality($2::uuid[])
             order by id
             ${lock}
           ),
           changed as (
             update task_service.tasks set
               title = coalesce(changes ->> 'title', title),
               description = coalesce(changes ->> 'description', description),
               search = coalesce((ts_filter(search, kept)::text || ' ' || words)::tsvector, search),
               status = coalesce(changes ->> 'status', status),
               priority = coalesce((changes ->> 'priority')::task_service.priority, priority),
               due_date = case when changes ? 'dueDate' then (changes ->> 'dueDate')::date else due_date end,
               assignee_id = case when changes ? 'assigneeId' then (changes ->> 'assigneeId')::uuid else assignee_id end,
               labels = case when changes ? 'labels' then array(select jsonb_array_elements_text(changes -> 'labels'))
                 else labels end,
               completed_at = case coalesce(changes ->> 'status', status) when 'done' then coalesce(completed_at, now()) end,
               updated_at = greatest(now(), updated_at),
               version = version + 1,
               event_transaction_id = greatest(task_service.with_epoch(pg_current_xact_id()), event_transaction_id)
             from edit
             where id = any ($3::uuid[]) and id = "taskId" and id in (select "taskId" from free)
               and (versions is null or version::text = any (versions))
             returning tasks.*
           ),
           task as (
             select ${columns} from changed
           ),
           event as (
             insert into task_service.events (transaction_id, type, subject, version)
             select event_transaction_id, 'task.updated', id, version from changed
           )
           select task.*, "taskId", free."taskId" is not null as free,
             "taskId" in (select id from task_service.tasks where id = any ($3::uuid[])) as found,
             (select count(*) from assignee) = cardinality($2::uuid[]) as assignable
           from edit left join free using ("taskId") left join task on task.id = "taskId"`,
    values: [JSON.stringify(changed), assignees, edits.map(({ taskId }) => taskId)],
  });
  const outcomes = new Map(rows.map(({ taskId, ...outcome }) => [taskId, outcome]));
  return edits.map(({ taskId, versions }) => {
    const { found, free, assignable, ...task } = outcomes.get(taskId) as Omit<(typeof rows)[number], 'taskId'>;
    // All columns are null where the left join finds no row.
    if ((task.id as string | null) !== null) return task;
    if (found && !assignable) return 'unknown assignee';
    return found && !free && lock !== 'for update' ? 'locked' : mismatch(found, versions);
  });
}

/** Deletes a task that has one of `versions` (null is any), and inserts its event. */
export async function deleteTask(
  db: Queryable,
  id: string,
  versions: string[] | null,
): Promise<'deleted' | 'not found' | 'stale'> {
  const [row] = await db.query<{ found: boolean; deleted: boolean }>({
    name: 'delete-task',
    text: `with task as (
             delete from task_service.tasks
             where id = $1 and ($2::text[] is null or version::text = any ($2))
             returning id, version, greatest(task_service.with_epoch(pg_current_xact_id()), event_transaction_id) as event_transaction_id
           ),
           event as (
             insert into task_service.events (transaction_id, type, subject, version)
             select event_transaction_id, 'task.deleted', id, version from task
           )
           select exists (select from task_service.tasks where id = $1) as found, exists (select from task) as deleted`,
    values: [id, versions],
  });
  return row?.deleted ? 'deleted' : mismatch(row?.found, versions);
}

/** Finds a task, batched with concurrent calls. */
export const findTask = batched(async (db, ids: string[]) => {
  const tasks = await db.query<Task>({
    name: 'find-tasks-by-id',
    text: `select ${columns} from task_service.tasks where id = any ($1)`,
    values: [ids],
  });
  return inOrder(ids, tasks);
});

/** Inserts the assignees of tasks that are not yet known; returns their ids in the order in which they are locked. */
async function insertAssignees(db: Queryable, tasks: { assigneeId?: string | null }[]): Promise<string[]> {
  const ids = [...new Set(tasks.flatMap(({ assigneeId }) => assigneeId ?? []))].sort();
  if (ids.length > 0) {
    await db.query({
      name: 'insert-assignees',
      text: 'insert into task_service.assignees (id) select unnest($1::uuid[]) on conflict do nothing',
      values: [ids],
    });
  }
  return ids;
}

/** The assignees that are not deleted. The lock keeps `unassign` from deleting them until the transaction ends. */
function lockAssignees(parameter: string): string {
  return `assignee as materialized (
             select id from task_service.assignees
             where id = any (${parameter}::uuid[]) and deleted_at is null
             order by id
             for share
           )`;
}

/** The cursor in the feed of the users; null before its first event. */
export async function findUsersCursor(db: Queryable): Promise<string | null> {
  const [followed] = await db.query<{ cursor: string | null }>({
    name: 'find-users-cursor',
    text: `select cursor from task_service.followed where feed = 'users'`,
  });
  return followed?.cursor ?? null;
}

/** Moves the cursor in the feed of the users; false when another replica was faster. Needs a transaction. */
export async function moveUsersCursor(db: Queryable, from: string | null, to: string | null): Promise<boolean> {
  const moved = await db.query({
    name: 'move-users-cursor',
    text: `update task_service.followed set cursor = $2
           where feed = 'users' and cursor is not distinct from $1
           returning feed`,
    values: [from, to],
  });
  return moved.length > 0;
}

/**
 * Marks users as deleted and unassigns their tasks. Needs a transaction: the first statement waits for requests that are
 * assigning tasks to them, so that the second sees those tasks too.
 */
export async function unassign(db: Queryable, userIds: string[]): Promise<void> {
  await db.query({
    name: 'delete-assignees',
    text: `insert into task_service.assignees (id, deleted_at) select id, now() from unnest($1::uuid[]) as id order by id
           on conflict (id) do update set deleted_at = excluded.deleted_at`,
    values: [userIds],
  });
  // A statement has a timeout, and a user may have a hundred thousand tasks.
  while ((await unassignBatch(db, userIds)) > 0);
}

async function unassignBatch(db: Queryable, userIds: string[]): Promise<number> {
  const unassigned = await db.query({
    name: 'unassign-tasks',
    text: `with task as (
             update task_service.tasks
             set assignee_id = null, updated_at = greatest(now(), updated_at), version = version + 1,
               event_transaction_id = greatest(task_service.with_epoch(pg_current_xact_id()), event_transaction_id)
             where id in (select id from task_service.tasks where assignee_id = any ($1::uuid[]) limit 500 for update)
             returning id, version, event_transaction_id
           )
           insert into task_service.events (transaction_id, type, subject, version)
           select event_transaction_id, 'task.updated', id, version from task
           returning position`,
    values: [userIds],
  });
  return unassigned.length;
}
